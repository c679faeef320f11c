import SQLTypes

/// Notes, and the level that lets them in.
extension Decision {
  mutating func recordNote(_ topic: String, _ content: [UInt8]) throws(Rejection) {
    guard !topic.isEmpty, topic.utf8.count <= NoteTopic.maximumNameBytes else {
      throw Rejection(
        .invalidParameterValue, "a note's topic has 1 to \(NoteTopic.maximumNameBytes) bytes")
    }
    guard content.count <= NoteTopic.maximumContentBytes else {
      throw Rejection(
        .programLimitExceeded,
        "the note has \(content.count) bytes, at most \(NoteTopic.maximumContentBytes) are possible")
    }
    guard image.notes[topic] == nil else {
      emitLast(.noteRecorded(topic: topic, content: content))
      return
    }
    // Topics stay in the image for ever.
    guard image.notes.count < NoteTopic.maximumTopics else {
      throw Rejection(
        .programLimitExceeded, "there are \(NoteTopic.maximumTopics) topics of notes already",
        hint: "Use one of them; what differs from note to note belongs into its text.")
    }
    emit(.noteRecorded(topic: topic, content: content))
  }

  mutating func raiseFeatureLevel(_ requested: UInt32?) throws(Rejection) {
    let level = requested ?? understood
    guard level <= understood else {
      throw Rejection(
        .featureNotSupported, "the leader understands feature level \(understood), not \(level)",
        hint: "Run a newer version of kunlog.")
    }
    guard level > image.featureLevel else { return }
    emit(.featureLevelRaised(level))
  }
}
