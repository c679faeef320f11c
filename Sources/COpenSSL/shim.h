// OpenSSL: TLS over memory BIOs, X.509, digests. Macros that Swift cannot see become functions here.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline int kunlog_SSL_CTX_require_tls12(SSL_CTX *context) {
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
}

static inline void kunlog_SSL_CTX_release_buffers(SSL_CTX *context) {
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

// No tickets and no cache: a connection between nodes is long, and a resumed one would skip the check of the certificate.
static inline void kunlog_SSL_CTX_disable_resumption(SSL_CTX *context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(context, 0);
}

static inline int kunlog_SSL_set_server_name(SSL *ssl, const char *name) {
  return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline EVP_PKEY *kunlog_EC_P256_key(void) { return EVP_EC_gen("P-256"); }

static inline void kunlog_OPENSSL_free(void *memory) { OPENSSL_free(memory); }

static inline long kunlog_BIO_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

// SHA-256 of two pieces. The functions that OpenSSL 3 prefers allocate for each digest, which takes longer than a short one itself.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
static inline int kunlog_SHA256(
    const void *first, size_t first_length, const void *second, size_t second_length, unsigned char *result) {
  SHA256_CTX context;
  return SHA256_Init(&context) && SHA256_Update(&context, first, first_length) &&
         SHA256_Update(&context, second, second_length) && SHA256_Final(result, &context);
}
#pragma clang diagnostic pop
