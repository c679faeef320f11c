// libuv: event loop, TCP, timers, signals, child processes.
#include <uv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

// The name of the calling thread in debuggers and in /proc (15 bytes); variadic, hence not visible to Swift.
static inline void kunlog_thread_set_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

// CRC-32C by the processor's own instruction, where it has one.
#if defined(__x86_64__)
static inline int kunlog_crc32c_is_supported(void) { return __builtin_cpu_supports("sse4.2") != 0; }
__attribute__((target("sse4.2"))) static inline unsigned kunlog_crc32c_update(
    unsigned state, const void *bytes, unsigned long count) {
  const unsigned char *next = (const unsigned char *)bytes;
  unsigned long long wide = state;
  for (; count >= 8; count -= 8, next += 8) {
    unsigned long long word;
    __builtin_memcpy(&word, next, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  unsigned narrow = (unsigned)wide;
  for (; count > 0; count--, next++) narrow = __builtin_ia32_crc32qi(narrow, *next);
  return narrow;
}
#else
static inline int kunlog_crc32c_is_supported(void) { return 0; }
static inline unsigned kunlog_crc32c_update(unsigned state, const void *bytes, unsigned long count) { return state; }
#endif

// Lowers the priority of the calling thread (on Linux, priorities are per thread): it gets about a tenth of what another one
// gets where both want to run.
static inline void kunlog_thread_lower_priority(void) { setpriority(PRIO_PROCESS, 0, 10); }
