import PostgresWire
import SQLTypes

/// The start of the connection: interprets `StartupMachine`.
extension PostgresSession {
  /// Runs the start; true where the session is open.
  func startUp() async -> Bool {
    let configuration = listener.configuration
    var startup = StartupMachine(
      configuration: StartupMachine.Configuration(
        offersTLS: configuration.tls != nil, requiresTLS: configuration.requiresTLS, cryptography: .openSSL,
        mockSecret: listener.mockSecret))
    var step = StartupMachine.Step(replies: [], effect: .awaitPacket)
    while true {
      for reply in step.replies { output.append(reply) }
      switch step.effect {
      case .awaitPacket:
        decoder.phase = .startup
        guard let next = await receivePacket(&startup) else { return false }
        step = next
      case .awaitMessage:
        decoder.phase = .authentication
        guard let next = await receiveAnswer(&startup) else { return false }
        step = next
      case .startTLS:
        flush()
        // It was announced because it was configured.
        guard let tls = configuration.tls else { return false }
        connection.startTLSServer(tls)
        step = startup.tlsStarted()
      case .findVerifier(let user): step = await findVerifier(user, &startup)
      case .openSession(let request): step = await open(request, &startup)
      case .cancel(let processID, let secretKey):
        listener.cancel(processID: processID, secretKey: secretKey)
        return false
      case .begin:
        decoder.phase = .session
        flush()
        return !isGone
      case .close: return false
      }
      if isGone { return false }
    }
  }

  private func receivePacket(_ startup: inout StartupMachine) async -> StartupMachine.Step? {
    while true {
      do {
        if let packet = try decoder.nextStartupPacket() {
          return startup.receive(packet, unreadBytes: decoder.bufferedBytes)
        }
      } catch {
        return startup.failed(error)
      }
      guard await waitForInput() else { return nil }
    }
  }

  private func receiveAnswer(_ startup: inout StartupMachine) async -> StartupMachine.Step? {
    while true {
      do {
        if let message = try decoder.nextMessage() { return startup.receive(message) }
      } catch {
        return startup.failed(error)
      }
      guard await waitForInput() else { return nil }
    }
  }

  private func findVerifier(_ user: String, _ startup: inout StartupMachine) async -> StartupMachine.Step {
    guard admit() else {
      return startup.failed(SQLError(.tooManyConnections, "sorry, too many clients already"))
    }
    do {
      let text = try await listener.factory.authenticationVerifier(user: user)
      return startup.verifierFound(
        text.flatMap { SCRAMVerifier($0) }, serverNonce: SecureRandom.bytes(18))
    } catch {
      return startup.failed(error)
    }
  }

  private func open(
    _ request: StartupMachine.Request, _ startup: inout StartupMachine
  ) async -> StartupMachine.Step {
    do {
      let backend = try await listener.factory.makeSession(
        user: request.user, database: request.database,
        parameters: request.settings.map { ($0.name, $0.value) }, client: self)
      self.backend = backend
      return startup.sessionOpened(
        processID: processID, secretKey: secretKey, status: backend.transactionStatus)
    } catch {
      return startup.failed(error)
    }
  }
}
