// libuv: event loop, TCP, timers, signals, child processes.
#include <uv.h>
#include <sys/prctl.h>

// The name of the calling thread in debuggers and in /proc (15 bytes); variadic, hence not visible to Swift.
static inline void kunlog_thread_set_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
