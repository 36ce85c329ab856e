/* qemu_rig_server.c - whom the devices of the QEMU tests talk to: `molt serve`, its certificates, and
 * middle.py between them (qemu_rig.h). */
#include "qemu_rig.h"

#include <stdlib.h>
#include <unistd.h>

#define WORDS_MAX 30

static uint16_t port_in(const char *line, const char *before)
{
    const char *port = strstr(line, before);
    assert_non_null(port);
    return (uint16_t)strtoul(port + strlen(before), NULL, 10);
}

void rig_ask_the_server(struct rig *rig)
{
    const bool https = rig->tls != RIG_PLAIN;
    snprintf(rig->url, sizeof rig->url, "%s://10.0.2.2:%u", https ? "https" : "http",
             https ? rig->https_port : rig->http_port);
}

void rig_serve(struct rig *rig)
{
    const char *args[] = {RIG_MOLT, "serve", "--listen", "http://127.0.0.1:0", "--admin",
                          "http://127.0.0.1:0", "--new-per-minute", "1000",
                          /* from here on with https only */
                          "--listen", "https://127.0.0.1:0", "--tls-cert", "cert.pem", "--tls-key", "key.pem",
                          NULL};
    if (rig->tls == RIG_PLAIN) args[8] = NULL;
    rig_start(rig, &rig->server, args);
    rig->http_port = port_in(rig_wait_line(rig, &rig->server, "plane=device url=http:"), " port=");
    if (rig->tls != RIG_PLAIN)
        rig->https_port = port_in(rig_wait_line(rig, &rig->server, "plane=device url=https:"), " port=");
    (void)rig_wait_line(rig, &rig->server, "plane=socket");
    rig_ask_the_server(rig);
}

static void run_script(struct rig *rig, const char *script, const char *argument)
{
    const char *const args[] = {"sh", "-c", script, "sh", argument, NULL}, *said;
    int status = rig_run(rig, args, &said);
    if (status != 0) fail_msg("openssl: %s", said);
}

/* A CA, and certificates by it: for the address that devices use, the same but expired, and for another
 * host. */
void rig_make_certificates(struct rig *rig)
{
    static const char script[] =
        "k() { if [ $1 = ec ]; then openssl ecparam -name prime256v1 -genkey -noout -out $2;"
        " else openssl genrsa -out $2 2048; fi; }; set -e; k $1 ca.key; k $1 key.pem;"
        " openssl req -x509 -new -key ca.key -sha256 -days 30 -subj /CN=ca -out ca.pem"
        " -addext basicConstraints=critical,CA:TRUE;"
        " c() { openssl req -new -key key.pem -subj /CN=$2 -out req.pem;"
        " printf 'subjectAltName=DNS:%s\\n' $2 >ext; openssl x509 -req -in req.pem -CA ca.pem -CAkey ca.key"
        " -CAcreateserial -sha256 -days $3 -extfile ext -out $1; };"
        " c cert.pem 10.0.2.2 30; c expired.pem 10.0.2.2 -1; c other.pem other.example 30;"
        " openssl x509 -in ca.pem -outform DER -out ca.der";
    run_script(rig, script, rig->tls == RIG_EC ? "ec" : "rsa");
}

void rig_strange_authority(struct rig *rig)
{
    run_script(
        rig,
        "openssl req -x509 -new -key ca.key -sha256 -days 30 -subj /CN=stranger -outform DER -out ca.der"
        " -addext basicConstraints=critical,CA:TRUE",
        NULL);
}

void rig_own_certificate(struct rig *rig)
{
    run_script(rig, "openssl x509 -in cert.pem -outform DER -out ca.der", NULL);
}

void rig_middle(struct rig *rig, const char *arguments)
{
    char text[400], port[8];
    const char *args[WORDS_MAX] = {RIG_PYTHON, RIG_MIDDLE, port};
    size_t count = 3;
    assert_int_equal(rig->middle.pid, 0);
    snprintf(text, sizeof text, "%s", arguments);
    snprintf(port, sizeof port, "%u", rig->http_port);
    for (char *word = strtok(text, " "); word != NULL && count < WORDS_MAX - 1; word = strtok(NULL, " "))
        args[count++] = word;
    rig_start(rig, &rig->middle, args);
    if (strstr(arguments, "--ntp") != NULL)
        rig->ntp_port = port_in(rig_wait_line(rig, &rig->middle, "ntp "), "ntp ");
    const char *line = rig_wait_line(rig, &rig->middle, "listening ");
    snprintf(rig->url, sizeof rig->url, "%s://10.0.2.2:%u", strstr(line, "https:") != NULL ? "https" : "http",
             port_in(line, "127.0.0.1:"));
}
