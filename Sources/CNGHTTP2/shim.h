// nghttp2: HTTP/2 framing for gRPC.
#include <nghttp2/nghttp2.h>
