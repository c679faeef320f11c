import EventLoop
import FoundationEssentials
import Glibc
import Metadata

/// Keeps the processes of a quick start alive: starts all, restarts one that ends (at once the first time, then after a
/// pause that doubles up to 5 s while it keeps dying), stops all in reverse order.
@LoopActor
final class Supervisor {
  private struct Child {
    var layout: ProcessLayout
    var process: ChildProcess?
    var startedAt: UInt64 = 0
    var pauseMilliseconds = 0
    var restarts = 0
    var retry: LoopTimer?
    /// The cluster has it no more.
    var isRetired = false
  }

  private let directory: QuickstartDirectory
  private var commandLine: NodeCommandLine
  private let executable: String
  private var children: [Child]
  private var isStopping = false
  private var onChildEnd: [CheckedContinuation<Void, Never>] = []
  /// Told what a person should see: a process that ended and comes back.
  var onEvent: (@LoopActor (String) -> Void)?

  init(layout: ClusterLayout, directory: QuickstartDirectory, executable: String) {
    self.directory = directory
    self.executable = executable
    commandLine = NodeCommandLine(layout: layout, directory: directory)
    children = layout.processes.map { Child(layout: $0) }
  }

  func startAll() throws {
    for index in children.indices { try start(index) }
  }

  /// Starts what a later layout has and the present one has not.
  func extend(to layout: ClusterLayout) {
    commandLine = NodeCommandLine(layout: layout, directory: directory)
    let known = Set(children.filter { !$0.isRetired }.map(\.layout.name))
    for process in layout.processes where !known.contains(process.name) {
      children.append(Child(layout: process))
      do {
        try start(children.count - 1)
        onEvent?("\(process.name) was added")
      } catch { onEvent?("\(process.name) cannot start: \(error)") }
    }
  }

  /// Ends what a later layout has no more, and puts its files aside.
  func retire(absentFrom layout: ClusterLayout) {
    let named = Set(layout.processes.map(\.name))
    for index in children.indices where !children[index].isRetired && !named.contains(children[index].layout.name) {
      children[index].isRetired = true
      children[index].retry?.cancel()
      guard let process = children[index].process else {
        putAside(children[index].layout.name)
        continue
      }
      process.signal(SIGTERM)
      children[index].retry = LoopTimer(afterMilliseconds: 5000) { [weak self] in
        self?.children[index].process?.signal(SIGKILL)
      }
    }
  }

  private func putAside(_ name: String) {
    do {
      let place = try directory.putAside(name)
      onEvent?("\(name) was removed" + (place.map { "; its files are in \($0)" } ?? ""))
    } catch { onEvent?("\(name) was removed; its files stay where they are: \(error)") }
  }

  /// Ends all processes: compute nodes first, so that no client sees a shard go; meta nodes last. One that does not end
  /// within the grace is killed.
  func stopAll(graceMilliseconds: Int = 5000) async {
    isStopping = true
    for child in children { child.retry?.cancel() }
    for role in ["compute", "manager", "storage", "meta"] {
      let group = children.indices.filter { children[$0].layout.role == role }
      for index in group { children[index].process?.signal(SIGTERM) }
      let kill = LoopTimer(afterMilliseconds: graceMilliseconds) { [weak self] in
        for index in group { self?.children[index].process?.signal(SIGKILL) }
      }
      while group.contains(where: { children[$0].process != nil }) {
        await withCheckedContinuation { onChildEnd.append($0) }
      }
      kill.cancel()
    }
  }

  private func start(_ index: Int) throws {
    let layout = children[index].layout
    let process = try ChildProcess.spawn(
      executable: executable, arguments: commandLine.arguments(for: layout, parent: getpid()),
      output: .append(directory.logFile(layout.name)), errors: .append(directory.logFile(layout.name)), detached: true
    ) { [weak self] status in self?.ended(index, status: status) }
    children[index].process = process
    children[index].startedAt = Loop.now
    try directory.writePID(process.pid, name: layout.name)
  }

  private func ended(_ index: Int, status: ChildExit) {
    children[index].process = nil
    directory.removePID(children[index].layout.name)
    let waiting = onChildEnd
    onChildEnd = []
    for continuation in waiting { continuation.resume() }
    if children[index].isRetired {
      children[index].retry?.cancel()
      return putAside(children[index].layout.name)
    }
    guard !isStopping else { return }
    if status == .code(Int(removedExitCode)) {
      onEvent?("\(children[index].layout.name) was removed from the cluster; it is not started again")
      return
    }
    let livedMilliseconds = (Loop.now - children[index].startedAt) / 1_000_000
    let pause = livedMilliseconds > 10_000 ? 0 : min(5000, max(100, children[index].pauseMilliseconds * 2))
    children[index].pauseMilliseconds = pause
    children[index].restarts += 1
    onEvent?("\(children[index].layout.name) ended (\(status)); starting it again\(pause > 0 ? " in \(pause) ms" : "")")
    children[index].retry = LoopTimer(afterMilliseconds: max(1, pause)) { [weak self] in
      guard let self, !self.isStopping else { return }
      do { try self.start(index) } catch { self.onEvent?("\(self.children[index].layout.name) cannot start: \(error)") }
    }
  }
}
