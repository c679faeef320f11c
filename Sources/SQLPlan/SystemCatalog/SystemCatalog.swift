/// The relations of `pg_catalog` and `information_schema`.
package enum SystemCatalog {
  /// All of them; names are unique within a schema.
  package static let relations: [VirtualRelation] = []
}
