/* bearssl_client.c - one handshake by BearSSL, the TLS of the ESP8266's core, with the core's buffers: prints the number that
 * getLastSSLError() would give. usage: bearssl_client HOST PORT ANCHOR.pem BUFFER
 * The lab compares it with what the doctor foretells. */
#include <bearssl.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 10

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) return -1;
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    const struct timeval wait = {.tv_sec = WAIT_S};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    const int rc = connect(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return rc == 0 ? fd : -1;
}

/* The anchor's name and key, as X509List takes them out of a certificate. */
static int read_anchor(const char *path, br_x509_trust_anchor *anchor)
{
    static unsigned char dn[512], point[133];
    FILE *file = fopen(path, "r");
    X509 *certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (certificate == NULL) return -1;
    fclose(file);
    size_t point_len = 0;
    unsigned char *end = dn;
    X509_NAME *name = X509_get_subject_name(certificate);
    if (i2d_X509_NAME(name, NULL) > (int)sizeof dn) return -1;
    const int name_len = i2d_X509_NAME(name, &end);
    if (name_len < 0 || EVP_PKEY_get_octet_string_param(X509_get0_pubkey(certificate), "pub", point,
                                                        sizeof point, &point_len) != 1)
        return -1;
    *anchor =
        (br_x509_trust_anchor){.dn = {dn, (size_t)name_len},
                               .flags = BR_X509_TA_CA,
                               .pkey = {.key_type = BR_KEYTYPE_EC,
                                        .key.ec = {.curve = BR_EC_secp256r1, .q = point, .qlen = point_len}}};
    X509_free(certificate);
    return 0;
}

static int receive(void *ctx, unsigned char *bytes, size_t len)
{
    const ssize_t n = recv(*(int *)ctx, bytes, len, 0);
    return n > 0 ? (int)n : -1;
}

static int transmit(void *ctx, const unsigned char *bytes, size_t len)
{
    const ssize_t n = send(*(int *)ctx, bytes, len, MSG_NOSIGNAL);
    return n > 0 ? (int)n : -1;
}

int main(int argc, char **argv)
{
    static br_ssl_client_context client;
    static br_x509_minimal_context x509;
    static unsigned char in[16384 + 325], out[512 + 85];
    br_x509_trust_anchor anchor;
    br_sslio_context io;
    if (argc < 5 || read_anchor(argv[3], &anchor) < 0) return 2;
    int fd = connect_to(argv[1], argv[2]);
    if (fd < 0) return 2;
    br_ssl_client_init_full(&client, &x509, &anchor, 1);
    br_ssl_engine_set_buffers_bidi(&client.eng, in, (size_t)atoi(argv[4]) + 325, out, sizeof out);
    br_ssl_client_reset(&client, argv[1], 0);
    br_sslio_init(&io, &client.eng, receive, &fd, transmit, &fd);
    static const char request[] = "GET /x.bin HTTP/1.0\r\nConnection: close\r\n\r\n";
    unsigned char body[4096];
    if (br_sslio_write_all(&io, request, sizeof request - 1) == 0 && br_sslio_flush(&io) == 0) {
        while (br_sslio_read(&io, body, sizeof body) > 0) {
        }
    }
    int error = br_ssl_engine_last_error(&client.eng);
    if (error == BR_ERR_IO)
        error = 0; /* the core reads the socket itself: the peer's close is no error of TLS */
    printf("%d\n", error & ~(BR_ERR_RECV_FATAL_ALERT | BR_ERR_SEND_FATAL_ALERT));
    close(fd);
    return 0;
}
