import SQLTypes

/// What the backend answers, for statements of both protocols.
extension SessionMachine {
  /// The query has been taken apart into so many statements.
  package mutating func querySplit(count: Int) -> Step {
    assert(state == .splitting)
    guard count > 0 else {
      state = .endingSimple
      return Step(replies: [.emptyQueryResponse], effect: .commit)
    }
    state = .runningSimple(index: 0, count: count)
    return Step(effect: .runSimple(index: 0, endsTransaction: count == 1))
  }

  /// The statement has run and returned no rows, or all of COPY's data is in.
  package mutating func completed(tag: String, status: TransactionStatus) -> Step {
    self.status = status
    switch state {
    case .runningSimple(let index, let count), .handlingCopy(.simple(let index, let count)):
      return advanceSimple([.commandComplete(tag: tag)], index: index, count: count)
    case .executing(let portal), .handlingCopy(.extended(let portal)):
      return finishExecution(portal, .done, [.commandComplete(tag: tag)])
    default: preconditionFailure("nothing runs that could complete: \(state)")
    }
  }

  /// The statement has no text.
  package mutating func completedEmpty(status: TransactionStatus) -> Step {
    self.status = status
    switch state {
    case .runningSimple(let index, let count):
      return advanceSimple([.emptyQueryResponse], index: index, count: count)
    case .executing(let portal): return finishExecution(portal, .done, [.emptyQueryResponse])
    default: preconditionFailure("nothing runs that could complete: \(state)")
    }
  }

  /// Rows follow: what to send before them. A simple query announces its columns, Execute has been described before.
  ///
  /// - Throws: 0A000 where the result no longer has the columns that were described.
  package func rowsBegin(_ columns: [ResultColumn]) throws(SQLError) -> [BackendMessage] {
    switch state {
    case .runningSimple: return [.rowDescription(columns, formats: [])]
    case .executing(let name):
      let described = portals[name]?.statement.columns
      guard let described, described.count == columns.count,
        zip(described, columns).allSatisfy({ $0.type.oid == $1.type.oid })
      else { throw SQLError.cachedPlanChanged }
      return []
    default: preconditionFailure("nothing runs that could return rows: \(state)")
    }
  }

  /// All rows have been sent.
  package mutating func rowsEnded(tag: String, status: TransactionStatus) -> Step {
    self.status = status
    switch state {
    case .runningSimple(let index, let count):
      return advanceSimple([.commandComplete(tag: tag)], index: index, count: count)
    case .executing(let portal):
      // A portal that is run again after its end returns no row (SELECT) and says so.
      let again = tag.hasPrefix("SELECT ") ? Portal.Progress.exhausted(tag: "SELECT 0") : .done
      return finishExecution(portal, again, [.commandComplete(tag: tag)])
    default: preconditionFailure("nothing runs that could return rows: \(state)")
    }
  }

  /// The row limit has been reached.
  package mutating func rowsSuspended(status: TransactionStatus) -> Step {
    self.status = status
    guard case .executing(let portal) = state else { preconditionFailure("only Execute has a row limit") }
    return finishExecution(portal, .suspended, [.portalSuspended])
  }

  /// COPY's data is awaited from the client; `columnCount` columns in a format.
  package mutating func copyInBegins(format: FormatCode, columnCount: Int) -> Step {
    switch state {
    case .runningSimple(let index, let count): state = .copyIn(.simple(index: index, count: count))
    case .executing(let portal): state = .copyIn(.extended(portal: portal))
    default: preconditionFailure("nothing runs that could copy: \(state)")
    }
    return Step(replies: [.copyInResponse(format: format, columnCount: columnCount)], effect: .flush)
  }

  /// COPY's data has been taken; more may come.
  package mutating func copyContinues() -> Step {
    guard case .handlingCopy(let origin) = state else { preconditionFailure("no COPY is under way: \(state)") }
    state = .copyIn(origin)
    return Step(effect: .awaitMessage)
  }

  /// COPY's data has been sent to the client.
  package mutating func copyOutEnded(tag: String, status: TransactionStatus) -> Step {
    var step = completed(tag: tag, status: status)
    step.replies.insert(.copyDone, at: 0)
    return step
  }

  /// What was under way has failed.
  package mutating func failed(_ error: SQLError) -> Step {
    let reply = BackendMessage.errorResponse(.error, error)
    switch state {
    case .splitting, .runningSimple, .handlingCopy(.simple), .endingSimple:
      state = .endingSimple
      return Step(replies: [reply], effect: .abort)
    case .parsing: return failPipeline(error)
    case .executing(let name), .handlingCopy(.extended(let name)):
      portals[name]?.progress = .done
      return failPipeline(error)
    case .syncing:
      // The commit failed at Sync itself: this Sync is answered, nothing is skipped.
      return Step(replies: [reply], effect: .abort)
    default: preconditionFailure("nothing is under way that could fail: \(state)")
    }
  }

  /// The implicit transaction has been committed or rolled back, or there was none.
  package mutating func transactionEnded(status: TransactionStatus) -> Step {
    self.status = status
    switch state {
    case .endingSimple, .syncing: return becomeReady()
    case .abortingPipeline:
      state = .skipping
      return Step(effect: .awaitMessage)
    default: preconditionFailure("no transaction is being ended: \(state)")
    }
  }

  private mutating func advanceSimple(_ replies: [BackendMessage], index: Int, count: Int) -> Step {
    let next = index + 1
    guard next < count else {
      state = .endingSimple
      return Step(replies: replies, effect: .commit)
    }
    state = .runningSimple(index: next, count: count)
    return Step(replies: replies, effect: .runSimple(index: next, endsTransaction: next == count - 1))
  }

  private mutating func finishExecution(
    _ portal: String, _ progress: Portal.Progress, _ replies: [BackendMessage]
  ) -> Step {
    portals[portal]?.progress = progress
    state = .ready
    return Step(replies: replies, effect: .awaitMessage)
  }
}

/// COPY FROM STDIN.
extension SessionMachine {
  mutating func receiveCopy(_ message: FrontendMessage, _ origin: CopyOrigin) -> Step {
    switch message {
    case .copyData(let bytes):
      state = .handlingCopy(origin)
      return Step(effect: .copyData(bytes))
    case .copyDone:
      state = .handlingCopy(origin)
      return Step(effect: .copyDone)
    case .copyFail(let reason):
      state = .handlingCopy(origin)
      return Step(effect: .copyAbort(SQLError(.queryCanceled, "COPY from stdin failed: \(reason)")))
    // Drivers send these after Execute without waiting for the answer.
    case .flush, .sync: return Step(effect: .awaitMessage)
    case .terminate:
      state = .ended
      return Step(effect: .close)
    case .malformed(_, let error):
      state = .handlingCopy(origin)
      return Step(effect: .copyAbort(error))
    default:
      return fatal(
        SQLError(.protocolViolation, "unexpected message type during COPY from stdin"))
    }
  }
}
