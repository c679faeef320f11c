import EventLoop
import Metadata
import PostgresWire
import SQLTypes

/// Opens sessions for authenticated clients.
@LoopActor
package final class SessionFactory: SessionBackendFactory {
  private let services: ExecutionServices
  /// Sessions per role, for CONNECTION LIMIT.
  private var open: [ObjectID: Int] = [:]

  package init(_ services: ExecutionServices) { self.services = services }

  package func authenticationVerifier(user: String) async throws(SQLError) -> String? {
    let image = services.metadata.image
    guard image.clusterID != nil else {
      throw SQLError(.cannotConnectNow, "the compute node has not read the catalog yet", hint: "Try again in a moment.")
    }
    return image.role(named: user)?.verifier
  }

  package func makeSession(
    user: String, database: String, parameters: [(name: String, value: String)], client: any SessionClient
  ) async throws(SQLError) -> any SessionBackend {
    let image = services.metadata.image
    guard let role = image.role(named: user) else {
      throw SQLError(.invalidAuthorizationSpecification, "role \"\(user)\" does not exist")
    }
    guard role.canLogin else {
      throw SQLError(.invalidAuthorizationSpecification, "role \"\(user)\" is not permitted to log in")
    }
    guard image.databases.values.contains(where: { $0.name == database }) else {
      throw SQLError(.invalidCatalogName, "database \"\(database)\" does not exist")
    }
    guard role.connectionLimit < 0 || role.isSuperuser || open[role.id, default: 0] < role.connectionLimit else {
      throw SQLError(.tooManyConnections, "too many connections for role \"\(user)\"")
    }
    let session = ComputeSession(services: services, role: role, database: database, client: client)
    try session.settings.setDefault("is_superuser", to: role.isSuperuser ? "on" : "off", isTrusted: true)
    try session.settings.setDefault("session_authorization", to: user, isTrusted: true)
    for (name, value) in parameters { try session.settings.setDefault(name, to: value) }
    open[role.id, default: 0] += 1
    session.onClose = { [weak self] in self?.closed(role.id) }
    session.reportAllSettings()
    return session
  }

  private func closed(_ role: ObjectID) {
    open[role, default: 1] -= 1
    if open[role] == 0 { open[role] = nil }
  }
}
