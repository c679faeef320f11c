import Raft

/// A member's number within the group; `Metadata` has another type of that name.
typealias MemberID = UInt64
