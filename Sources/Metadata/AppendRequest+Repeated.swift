extension AppendRequest {
  /// Whether a record can be what this request has become: false where it certainly is another request's, asked under the same
  /// name. What a command leads to depends on the image at that time, which is not at hand; but who asked, and which notes,
  /// settings and objects the record is about, can be compared with what is asked for.
  package func mayHaveBecome(_ record: Record) -> Bool {
    record.principal == principal && record.cause == cause
      && commands.allSatisfy { hasWitness($0, in: record.events) } && record.events.allSatisfy(isAskedFor)
  }

  /// Of a command that always leads to an event: whether that event is there.
  private func hasWitness(_ command: Command, in events: [Event]) -> Bool {
    switch command {
    case .recordNote(let topic, let content): events.contains(.noteRecorded(topic: topic, content: content))
    case .createTable(let draft):
      events.contains {
        if case .tableCreated(let table) = $0 {
          table.name == draft.name && table.schemaID == draft.schemaID
        } else {
          false
        }
      }
    case .dropTables(let tables, _): tables.allSatisfy { events.contains(.tableDropped($0)) }
    case .createIndex(let draft):
      events.contains {
        guard case .indexCreated(let index) = $0 else { return false }
        return index.tableID == draft.tableID && (draft.name == nil || index.name == draft.name)
      }
    case .createSequence(let draft):
      events.contains { if case .sequenceCreated(let sequence) = $0 { sequence.name == draft.name } else { false } }
    case .reserveSequence(let id, _):
      events.contains { if case .sequenceReserved(id, _, _, _) = $0 { true } else { false } }
    case .dropRole(let role): events.contains(.roleDropped(role))
    default: true
    }
  }

  /// Of an event that only one command leads to: whether that command is asked for.
  private func isAskedFor(_ event: Event) -> Bool {
    switch event {
    case .noteRecorded(let topic, let content): commands.contains(.recordNote(topic: topic, content: content))
    case .settingChanged(let name, let value):
      commands.contains(.setSetting(name: name, value: value))
        || !commands.contains { if case .setSetting = $0 { true } else { false } }
    case .tableCreated(let table):
      commands.contains {
        switch $0 {
        case .createTable(let draft), .materializedView(.create(let draft, _, _)):
          draft.name == table.name && draft.schemaID == table.schemaID
        default: false
        }
      }
    default: true
    }
  }
}
