// libpg_query: PostgreSQL's own parser.
#include <pg_query.h>
