/// Bytes in a growing block of memory: appended at the end, consumed from the front. Its memory stays in place while it is
/// only consumed, so that a write in flight may point into it.
package final class ByteQueue {
  private var memory: UnsafeMutableRawBufferPointer
  private var head = 0
  private var tail = 0

  /// An empty queue that has allocated nothing.
  package init() {
    memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  deinit { memory.deallocate() }

  /// Bytes that are in the queue.
  package var count: Int { tail - head }

  /// Whether there are none.
  package var isEmpty: Bool { tail == head }

  /// What is in the queue. Valid until the next change.
  package var bytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[head..<tail])
  }

  /// Appends a copy of the bytes.
  package func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
    reserve(bytes.count)
    memory.baseAddress!.advanced(by: tail).copyMemory(from: source, byteCount: bytes.count)
    tail += bytes.count
  }

  /// Appends a copy of the bytes.
  package func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }

  /// Appends what the body writes into at most `maximum` bytes; the body returns how many it wrote.
  package func append(maximum: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) {
    reserve(maximum)
    let space = UnsafeMutableRawBufferPointer(rebasing: memory[tail..<tail + maximum])
    let written = body(space)
    precondition(written >= 0 && written <= maximum)
    tail += written
  }

  /// Removes bytes from the front.
  package func consume(_ count: Int) {
    precondition(count <= self.count)
    head += count
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Removes everything; memory beyond `keeping` bytes is given back.
  package func removeAll(keeping capacity: Int = 1 << 16) {
    head = 0
    tail = 0
    if memory.count > capacity {
      memory.deallocate()
      memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }
  }

  private func reserve(_ additional: Int) {
    guard memory.count - tail < additional else { return }
    let needed = count + additional
    if needed <= memory.count, head >= memory.count / 2 {
      memory.baseAddress!.copyMemory(from: memory.baseAddress!.advanced(by: head), byteCount: count)
    } else {
      let grown = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(needed, memory.count * 2, 512), alignment: 16)
      if count > 0 {
        grown.baseAddress!.copyMemory(from: memory.baseAddress!.advanced(by: head), byteCount: count)
      }
      memory.deallocate()
      memory = grown
    }
    tail -= head
    head = 0
  }
}
