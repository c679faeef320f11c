// libuv: event loop, TCP, timers, signals, child processes.
#include <uv.h>
