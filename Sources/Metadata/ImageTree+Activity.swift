import SQLTypes

/// What is under way, and what the image keeps of the past, in its tree.
extension Image {
  var transactionsNode: ImageNode {
    .folder { [transactions] in
      [
        ImageEntry(
          "open",
          .folder {
            transactions.open.sorted { $0.key < $1.key }.map { id, transaction in
              ImageEntry(
                "\(id)",
                .folder {
                  [
                    ImageEntry("outcome", .text(transaction.outcome.rawValue)),
                    ImageEntry("participants", .list(transaction.participants.map(\.description))),
                    ImageEntry("decided_index", .number(transaction.index)),
                  ]
                })
            }
          }),
        ImageEntry(
          "coordinators",
          .folder {
            transactions.coordinators.sorted { $0.key < $1.key }.map { ImageEntry("\($0.key)", $0.value.treeNode) }
          }),
      ]
    }
  }

  var migrationsNode: ImageNode {
    .folder { [migrations] in
      [
        ImageEntry(
          "open",
          .folder {
            migrations.open.values.sorted { $0.plan.id < $1.plan.id }.map { ImageEntry("\($0.plan.id)", $0.treeNode) }
          }),
        ImageEntry(
          "ended",
          .folder {
            migrations.ended.values.sorted { $0.plan.id < $1.plan.id }.map { ImageEntry("\($0.plan.id)", $0.treeNode) }
          }),
      ]
    }
  }

  var schemaChangesNode: ImageNode {
    .folder { [schemaChanges] in
      [
        ImageEntry(
          "open",
          .folder {
            schemaChanges.open.values.sorted { $0.plan.id < $1.plan.id }.map {
              ImageEntry("\($0.plan.id)", $0.treeNode)
            }
          }),
        ImageEntry(
          "ended",
          .folder {
            schemaChanges.ended.values.sorted { $0.plan.id < $1.plan.id }.map {
              ImageEntry("\($0.plan.id)", $0.treeNode)
            }
          }),
      ]
    }
  }

  var managerNode: ImageNode {
    .folder { [manager] in
      [
        ImageEntry("epoch", .number(manager.epoch)),
        ImageEntry("node", manager.nodeID.map { .number($0.rawValue) } ?? .text("")),
        ImageEntry("since_index", .number(manager.sinceIndex)),
      ]
    }
  }

  var holdsNode: ImageNode {
    .folder { [self] in
      compactionHolds.enumerated().map { position, hold in
        ImageEntry(
          "\(position + 1)",
          .folder { [ImageEntry("index", .number(hold.index)), ImageEntry("text", .text(hold.text))] })
      }
    }
  }

  var notesNode: ImageNode {
    .folder { [notes] in
      notes.sorted { $0.key < $1.key }.map { name, topic in
        ImageEntry(
          name,
          .folder { [ImageEntry("count", .number(topic.count)), ImageEntry("last_index", .number(topic.lastIndex))] })
      }
    }
  }

  var requestsNode: ImageNode {
    .folder { [requests] in
      requests.clients.sorted { $0.key < $1.key }.map { name, client in
        ImageEntry(
          name,
          .folder {
            [
              ImageEntry("last_index", .number(client.lastIndex)),
              ImageEntry("forgotten_to", .number(client.forgottenTo)),
              ImageEntry("results", .number(client.results.count)),
            ]
          })
      }
    }
  }
}

extension SchemaChange {
  fileprivate var treeNode: ImageNode {
    .folder {
      var entries = [
        ImageEntry("object", .number(plan.objectID.rawValue)), ImageEntry("text", .text(plan.text)),
        ImageEntry("steps", .list(plan.steps)), ImageEntry("done_steps", .number(doneSteps)),
        ImageEntry("started_index", .number(startedIndex)), ImageEntry("changed_index", .number(changedIndex)),
      ]
      if let outcome { entries.append(ImageEntry("outcome", .text(outcome.rawValue))) }
      if !reason.isEmpty { entries.append(ImageEntry("reason", .text(reason))) }
      return entries
    }
  }
}

extension CoordinatorHistory {
  fileprivate var treeNode: ImageNode {
    .folder {
      [
        ImageEntry("incarnation", .number(incarnation)),
        ImageEntry("settled_before", .text("\(settledIncarnation)-\(settledSequence)")),
        ImageEntry("resolved", .list(ranges.map { "\($0.incarnation)-\($0.first)…\($0.last)" })),
      ]
    }
  }
}

extension Migration {
  fileprivate var treeNode: ImageNode {
    .folder {
      var entries = [
        ImageEntry("tablet", .number(plan.tabletID.rawValue)), ImageEntry("source", .number(plan.source.rawValue)),
        ImageEntry("target", .number(plan.target.rawValue)), ImageEntry("epoch", .number(plan.epoch)),
        ImageEntry("phase", .text(phase.text)), ImageEntry("paused", .flag(isPaused)),
        ImageEntry("attempt", .number(attempt)), ImageEntry("maximum_retries", .number(plan.maximumRetries)),
        ImageEntry("started_index", .number(startedIndex)), ImageEntry("changed_index", .number(changedIndex)),
        ImageEntry("reason", .text(plan.reason)), ImageEntry("remark", .text(remark)),
      ]
      if let outcome { entries.append(ImageEntry("outcome", .text(outcome.text))) }
      entries.append(ImageEntry("options", plan.options.treeNode))
      if let wayBack { entries.append(ImageEntry("way_back", wayBack.treeNode)) }
      if let progress { entries.append(ImageEntry("progress", progress.treeNode)) }
      if let snapshot {
        entries.append(
          ImageEntry(
            "snapshot",
            .folder {
              [
                ImageEntry("node", .number(snapshot.nodeID.rawValue)),
                ImageEntry("shard_index", .number(snapshot.shardIndex)),
                ImageEntry("length_bytes", .number(snapshot.lengthBytes)),
                ImageEntry("checksum", .text(ByteaText.hexadecimal(snapshot.checksum))),
              ]
            }))
      }
      return entries
    }
  }
}

extension MigrationOptions {
  fileprivate var treeNode: ImageNode {
    .folder {
      [
        ImageEntry("keeps_source", .flag(keepsSource)), ImageEntry("is_verified", .flag(isVerified)),
        ImageEntry("maximum_lag_milliseconds", .number(maximumLagMilliseconds)),
        ImageEntry("bytes_per_second", .number(bytesPerSecond)),
      ] + (addsCopy ? [ImageEntry("adds_copy", .flag(true))] : [])
        + (dropsCopy ? [ImageEntry("drops_copy", .flag(true))] : [])
    }
  }
}

extension MigrationWayBack {
  fileprivate var treeNode: ImageNode {
    .folder {
      [
        ImageEntry("shard_index", .number(shardIndex)), ImageEntry("needed_from", .number(neededFrom)),
        ImageEntry("lost", .flag(isLost)), ImageEntry("requested", .flag(isRequested)),
        ImageEntry("requested_attempt", .number(requestedAttempt)),
      ]
    }
  }
}

extension MigrationProgress {
  fileprivate var treeNode: ImageNode {
    .folder {
      var entries = [
        ImageEntry("bytes", .number(bytes)), ImageEntry("total_bytes", .number(totalBytes)),
        ImageEntry("rows", .number(rows)), ImageEntry("bytes_per_second", .number(bytesPerSecond)),
        ImageEntry("shard_index", .number(shardIndex)),
      ]
      if let lagMilliseconds { entries.append(ImageEntry("lag_milliseconds", .number(lagMilliseconds))) }
      return entries
    }
  }
}
