// libuv: event loop, TCP, timers, signals, child processes.
#include <uv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// The name of the calling thread in debuggers and in /proc (15 bytes); variadic, hence not visible to Swift.
static inline void kunlog_thread_set_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// Lowers the priority of the calling thread (on Linux, priorities are per thread): it gets about a tenth of what another one
// gets where both want to run.
static inline void kunlog_thread_lower_priority(void) { setpriority(PRIO_PROCESS, 0, 10); }
