// SQLite, with the session extension (changesets), which Debian's library contains.
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>

// sqlite3_db_config and sqlite3_config are variadic, which Swift does not import.
static inline int kunlog_sqlite3_db_config_flag(sqlite3 *db, int option, int value) {
  return sqlite3_db_config(db, option, value, (int *)0);
}

// Likewise variadic. Bloom filters (0x00080000) of automatic indexes: SQLite 3.38 to 3.40 put the length of a text into them,
// also under a collation that holds texts of different lengths equal, and so lose rows of joins.
static inline void kunlog_sqlite3_disable_bloom_filters(sqlite3 *db) {
  sqlite3_test_control(SQLITE_TESTCTRL_OPTIMIZATIONS, db, 0x00080000);
}

static inline int kunlog_sqlite3_db_config_lookaside(sqlite3 *db, int size, int count) {
  return sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, (void *)0, size, count);
}
