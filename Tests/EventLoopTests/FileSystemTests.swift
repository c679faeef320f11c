import EventLoop
import Glibc
import Testing

@Suite("Files")
struct FileSystemTests {
  @Test("A replaced file has the new content and mode, and leaves nothing beside it")
  func atomicReplace() throws {
    let directory = try TemporaryDirectory()
    try FileSystem.write(directory("file"), Array("old".utf8), permissions: 0o644)
    try FileSystem.atomicReplace(directory("file"), Array("new".utf8))
    #expect(try FileSystem.readText(directory("file")) == "new")
    #expect(try FileSystem.list(directory.path) == ["file"])
    var status = stat()
    stat(directory("file"), &status)
    #expect(status.st_mode & 0o777 == 0o600)
  }

  @Test("Directories are made with those above them, listed in order and removed with their content")
  func directories() throws {
    let directory = try TemporaryDirectory()
    try FileSystem.createDirectory(directory("a/b/c"))
    try FileSystem.createDirectory(directory("a/b/c"))
    try FileSystem.write(directory("a/z"), [])
    try FileSystem.write(directory("a/y"), [1, 2])
    #expect(try FileSystem.list(directory("a")) == ["b", "y", "z"])
    #expect(try FileSystem.size(directory("a/y")) == 2)
    #expect(FileSystem.isDirectory(directory("a/b")))
    try FileSystem.remove(directory("a"))
    #expect(!FileSystem.exists(directory("a")))
    try FileSystem.remove(directory("a"))
  }

  @Test("What fails says what, where and why")
  func errors() {
    let error = #expect(throws: FileError.self) { try FileSystem.read("/nowhere/file") }
    #expect(error?.description == "cannot open /nowhere/file: No such file or directory")
    #expect(error?.number == ENOENT)
    #expect(throws: FileError("read", "/", number: EISDIR)) { try FileSystem.read("/") }
  }

  @Test("The parent of a path", arguments: [("/a/b", "/a"), ("/a", "/"), ("a", "."), ("a/b/", "a"), ("/", "/")])
  func parent(_ path: String, _ expected: String) {
    #expect(FileSystem.parent(path) == expected)
  }

  @Test("A data directory is locked by one owner at a time, and the second learns by whom")
  func lock() throws {
    let directory = try TemporaryDirectory()
    do {
      let lock = try DirectoryLock(directory.path)
      #expect(throws: DirectoryLockError.inUse(directory: directory.path, processID: getpid())) {
        try DirectoryLock(directory.path)
      }
      withExtendedLifetime(lock) {}
    }
    _ = try DirectoryLock(directory.path)
  }
}
