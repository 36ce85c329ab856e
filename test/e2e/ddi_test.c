/* ddi_test.c - hawkBit's DDI on the wire: shapes, statuses, ranges, tokens, bodies that are none. What a real client makes of
 * it: swupdate_test.sh. */
#include "cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve_case.h"

static struct serve_case server;
static char token[64];
static uint8_t *image;
static size_t image_len;
static long long action;

static void send_ddi(const char *verb, const char *below, const char *headers, const char *body,
                     struct reply *reply)
{
    static char request[40000];
    (void)snprintf(request, sizeof request,
                   "%s /gate/controller/v1/board-1%s HTTP/1.1\r\nHost: ota.example:8266\r\n%s"
                   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                   verb, below, headers, body != NULL ? strlen(body) : 0, body != NULL ? body : "");
    raw_ask(server.port, request, reply);
}

static int status_of(const char *verb, const char *below, const char *body)
{
    struct reply reply;
    char headers[200];
    (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\n", token);
    send_ddi(verb, below, headers, body, &reply);
    int status = reply.status;
    reply_free(&reply);
    return status;
}

static json_t *get(const char *below)
{
    struct reply reply;
    char headers[200];
    (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\n", token);
    send_ddi("GET", below, headers, NULL, &reply);
    assert_int_equal(reply.status, 200);
    assert_true(strncmp(reply_header(&reply, "content-type"), "application/hal+json", 20) == 0);
    json_t *json = json_loadb((const char *)reply.body, reply.body_len, 0, NULL);
    assert_non_null(json);
    reply_free(&reply);
    return json;
}

static const char *link_of(const json_t *poll, const char *name)
{
    const json_t *link = json_object_get(json_object_get(poll, "_links"), name);
    const char *href = json_string_value(json_object_get(link, "href"));
    return href != NULL ? href : "";
}

static int make(void **state)
{
    struct reply reply;
    (void)state;
    serve_case_make(&server);
    serve_case_start(&server);
    image = publish_image_of(&server, "gate", MOLT_CHIP_ESP32, 2, 200000, &image_len);
    static const char body[] = "{\"kind\":\"device\",\"device\":\"board-1\"}";
    assert_int_equal(api_ask(&server, "POST", "/api/v1/tokens", body, sizeof body - 1, &reply), 201);
    json_t *made = json_loadb((const char *)reply.body, reply.body_len, 0, NULL);
    (void)snprintf(token, sizeof token, "%s", json_string_value(json_object_get(made, "token")));
    json_decref(made);
    reply_free(&reply);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    free(image);
    serve_case_stop(&server);
    serve_case_remove(&server);
    return 0;
}

/* The device says its chip and version, and is offered the release. */
static void take_job(void)
{
    assert_int_equal(status_of("PUT", "/configData",
                               "{\"mode\":\"merge\",\"data\":{\"chip\":\"esp32\",\"version\":\"1\"}}"),
                     200);
    json_t *poll = get("");
    const char *href = link_of(poll, "deploymentBase"), *number = strstr(href, "deploymentBase/");
    assert_non_null(number);
    action = atoll(number + strlen("deploymentBase/"));
    assert_true(action > 0);
    json_decref(poll);
}

static const char *below(const char *before, const char *after)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s%lld%s", before, action, after);
    return path;
}

static void a_poll_has_links_and_a_time_of_day(void **state)
{
    unsigned h, m, s;
    char rest;
    (void)state;
    json_t *poll = get("");
    const json_t *polling = json_object_get(json_object_get(poll, "config"), "polling");
    assert_int_equal(
        sscanf(json_string_value(json_object_get(polling, "sleep")), "%2u:%2u:%2u%c", &h, &m, &s, &rest), 3);
    const unsigned sleep = h * 3600 + m * 60 + s;
    assert_in_range(sleep, 270, 330);
    assert_string_equal(link_of(poll, "configData"),
                        "http://ota.example:8266/gate/controller/v1/board-1/configData");
    assert_string_equal(link_of(poll, "deploymentBase"), ""); /* its chip is not known */
    json_decref(poll);
    take_job();
    poll = get("");
    assert_string_equal(link_of(poll, "configData"), "");
    assert_string_equal(link_of(poll, "cancelAction"), "");
    json_decref(poll);
}

static void a_description_has_what_both_clients_look_for(void **state)
{
    (void)state;
    take_job();
    json_t *job = get(below("/deploymentBase/", "?c=1"));
    char id[24];
    (void)snprintf(id, sizeof id, "%lld", action);
    assert_string_equal(json_string_value(json_object_get(job, "id")), id); /* a text that atoi() reads */
    const json_t *deployment = json_object_get(job, "deployment");
    assert_string_equal(json_string_value(json_object_get(deployment, "download")), "forced");
    assert_string_equal(json_string_value(json_object_get(deployment, "update")), "forced");
    assert_null(json_object_get(deployment, "maintenanceWindow"));
    const json_t *chunks = json_object_get(deployment, "chunks"), *chunk = json_array_get(chunks, 0);
    assert_int_equal(json_array_size(chunks), 1);
    assert_string_equal(json_string_value(json_object_get(chunk, "version")), "2");
    assert_string_equal(json_string_value(json_object_get(chunk, "name")), "gate");
    const json_t *artifacts = json_object_get(chunk, "artifacts"), *artifact = json_array_get(artifacts, 0);
    assert_int_equal(json_array_size(artifacts), 1);
    assert_string_equal(json_string_value(json_object_get(artifact, "filename")), "gate-2.bin");
    assert_int_equal(json_integer_value(json_object_get(artifact, "size")), image_len);
    const json_t *hashes = json_object_get(artifact, "hashes"), *links = json_object_get(artifact, "_links");
    assert_int_equal(json_string_length(json_object_get(hashes, "sha1")), 40);
    assert_int_equal(json_string_length(json_object_get(hashes, "md5")), 32);
    assert_int_equal(json_string_length(json_object_get(hashes, "sha256")), 64);
    static const char *const names[] = {"download", "download-http", "md5sum", "md5sum-http"};
    for (size_t i = 0; i < 4; i++)
        assert_true(strncmp(json_string_value(json_object_get(json_object_get(links, names[i]), "href")),
                            "http://ota.example:8266/gate/", 29) == 0);
    json_decref(job);
    assert_string_equal(device_text(&server, "board-1", "attempt.state"), "downloading");
}

static void the_artifact_comes_whole_in_pieces_and_with_its_sum(void **state)
{
    struct reply reply;
    char headers[300];
    (void)state;
    take_job();
    const char *file = below("/softwaremodules/", "/artifacts/gate-2.bin");
    (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\n", token);
    send_ddi("GET", file, headers, NULL, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_len, image_len);
    assert_memory_equal(reply.body, image, image_len);
    reply_free(&reply);
    for (int i = 0; i < 5; i++) { /* bundles are read in many pieces, and the end of them often */
        (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\nRange: bytes=150000-\r\n",
                       token);
        send_ddi("GET", file, headers, NULL, &reply);
        assert_int_equal(reply.status, 206);
        assert_int_equal(reply.body_len, image_len - 150000);
        assert_memory_equal(reply.body, image + 150000, image_len - 150000);
        reply_free(&reply);
    }
    (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\nRange: bytes=900000-\r\n",
                   token);
    send_ddi("GET", file, headers, NULL, &reply);
    assert_int_equal(reply.status, 416);
    reply_free(&reply);
    (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\n", token);
    send_ddi("GET", below("/softwaremodules/", "/artifacts/gate-2.bin.MD5SUM"), headers, NULL, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body_len, 32 + 2 + strlen("gate-2.bin"));
    assert_string_equal((const char *)reply.body + 32, "  gate-2.bin");
    reply_free(&reply);
    json_t *list = get(below("/softwaremodules/", "/artifacts"));
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_int_equal(status_of("GET", "/softwaremodules/999/artifacts/gate-2.bin", NULL), 404);
}

static void feedback_is_taken_or_refused_by_its_status(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"{\"id\":\"1\",\"status\":{\"execution\":\"proceeding\",\"result\":{\"finished\":\"none\","
         "\"progress\":{\"cnt\":2,\"of\":5}},"
         "\"code\":0,\"details\":[\"a\",\"b\"]}}",
         200},
        {"{\"status\":{\"execution\":\"scheduled\"}}", 200},
        {"{\"status\":{\"execution\":\"dancing\"}}", 400},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"maybe\"}}}", 400},
        {"{\"status\":7}", 400},
        {"[]", 400},
        {"", 400},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"failure\"},\"details\":["
         "\"no\\u0007 space\"]}}",
         200},
        {"{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\"}}}", 410},
    };
    take_job();
    assert_int_equal(status_of("GET", below("/deploymentBase/", ""), NULL), 200);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(status_of("POST", below("/deploymentBase/", "/feedback"), rows[i].body),
                         rows[i].status);
    assert_string_equal(device_text(&server, "board-1", "attempt.state"), "failed");
    assert_string_equal(device_text(&server, "board-1", "attempt.reason.id"), "install-failed");
    assert_int_equal(status_of("POST", "/deploymentBase/77/feedback", rows[0].body), 410);
    assert_int_equal(status_of("POST", "/deploymentBase/99999999999/feedback", rows[0].body), 404);
}

/* SWUpdate sends what it logged, up to 48 lines; and it reads a history when one is asked for. */
static void a_client_sends_its_whole_log_and_may_ask_for_the_history(void **state)
{
    (void)state;
    static char body[32000];
    size_t len = (size_t)snprintf(body, sizeof body,
                                  "{\"status\":{\"execution\":\"proceeding\",\"result\":{\"finished\":"
                                  "\"none\"},\"details\":[");
    for (int i = 0; i < 48; i++)
        len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%0500d\"", i > 0 ? "," : "", i);
    (void)snprintf(body + len, sizeof body - len, ",\"writing the kernel\"]}}");
    take_job();
    json_t *job = get(below("/deploymentBase/", "?c=1"));
    assert_null(json_object_get(job, "actionHistory"));
    json_decref(job);
    assert_int_equal(status_of("POST", below("/deploymentBase/", "/feedback"), body), 200);
    static const char *const asked[] = {"?c=1&actionHistory=-1", "?actionHistory=10"};
    for (size_t i = 0; i < 2; i++) {
        job = get(below("/deploymentBase/", asked[i]));
        const json_t *history = json_object_get(job, "actionHistory");
        assert_string_equal(json_string_value(json_object_get(history, "status")), "DOWNLOAD");
        const json_t *messages = json_object_get(history, "messages");
        assert_int_equal(json_array_size(messages), 1);
        assert_string_equal(json_string_value(json_array_get(messages, 0)), "writing the kernel");
        json_decref(job);
    }
    job = get(below("/deploymentBase/", "?actionHistory=0"));
    assert_null(json_object_get(job, "actionHistory"));
    json_decref(job);
}

static void a_held_device_is_told_to_cancel(void **state)
{
    struct reply reply;
    (void)state;
    take_job();
    assert_int_equal(status_of("GET", below("/deploymentBase/", ""), NULL), 200);
    static const char hold[] = "{\"held\":true}";
    (void)api_ask(&server, "PATCH", "/api/v1/devices/board-1", hold, sizeof hold - 1, &reply);
    assert_int_equal(reply.status, 200);
    reply_free(&reply);
    json_t *poll = get("");
    assert_string_equal(link_of(poll, "deploymentBase"), ""); /* one of the two, never both */
    assert_non_null(strstr(link_of(poll, "cancelAction"), below("/cancelAction/", "")));
    json_decref(poll);
    assert_int_equal(status_of("GET", below("/deploymentBase/", ""), NULL), 404);
    json_t *cancel = get(below("/cancelAction/", ""));
    assert_non_null(json_object_get(json_object_get(cancel, "cancelAction"), "stopId"));
    json_decref(cancel);
    assert_int_equal(
        status_of("POST", below("/cancelAction/", "/feedback"),
                  "{\"status\":{\"execution\":\"closed\",\"result\":{\"finished\":\"success\"}}}"),
        200);
    poll = get("");
    assert_string_equal(link_of(poll, "cancelAction"), "");
    json_decref(poll);
}

static void a_wrong_token_is_refused_before_anything_happens(void **state)
{
    struct reply reply;
    (void)state;
    static const char *const wrong[] = {"TargetToken nothing", "GatewayToken nothing", "Bearer nothing"};
    for (size_t i = 0; i < 3; i++) {
        char headers[100];
        (void)snprintf(headers, sizeof headers, "Authorization: %s\r\n", wrong[i]);
        send_ddi("GET", "", headers, NULL, &reply);
        assert_int_equal(reply.status, 401);
        reply_free(&reply);
        send_ddi("PUT", "/configData", headers, "{\"data\":{\"version\":\"9\"}}", &reply);
        assert_int_equal(reply.status, 401);
        reply_free(&reply);
    }
    (void)api_ask(&server, "GET", "/api/v1/devices/board-1", NULL, 0, &reply);
    assert_int_equal(reply.status, 404);
    reply_free(&reply);
}

static void bodies_and_paths_that_are_none_are_refused(void **state)
{
    (void)state;
    take_job();
    assert_int_equal(status_of("PUT", "/configData", "{\"data\":{\"a\":1}}"), 400);
    assert_int_equal(status_of("PUT", "/configData", "{}"), 400);
    assert_int_equal(
        status_of("PUT", "/configData", "{\"id\":\"\",\"time\":\"x\",\"status\":{},\"data\":{\"a\":\"b\"}}"),
        200);
    assert_int_equal(status_of("PUT", "/installedBase", "{\"name\":\"gate\",\"version\":\"2\"}"), 200);
    assert_string_equal(device_text(&server, "board-1", "running.version"), "2");
    assert_int_equal(status_of("GET", "/confirmationBase", NULL), 200); /* there is nothing to confirm */
    assert_int_equal(status_of("GET", "/confirmationBase/1", NULL), 404);
    assert_int_equal(status_of("POST", "/confirmationBase/activateAutoConfirm", "{}"), 404);
    assert_int_equal(status_of("GET", "/deploymentBase/0", NULL), 404);
    assert_int_equal(status_of("GET", "/deploymentBase/-1", NULL), 404);
    assert_int_equal(status_of("GET", "/softwaremodules/1/other", NULL), 404);
    assert_int_equal(status_of("POST", "/configData", "{}"), 404);
    assert_int_equal(status_of("DELETE", "", NULL), 405);
}

/* rauc-hawkbit-updater reads the sleep as a time of day: a day and more would be none. */
static void a_poll_a_day_is_still_a_time_of_day(void **state)
{
    (void)state;
    unsigned h, m, s;
    char rest;
    serve_case_stop(&server);
    server.options.ddi_interval_s = 86399;
    serve_case_start(&server);
    json_t *poll = get("");
    const json_t *polling = json_object_get(json_object_get(poll, "config"), "polling");
    const char *sleep = json_string_value(json_object_get(polling, "sleep"));
    assert_int_equal(strlen(sleep), 8);
    assert_int_equal(sscanf(sleep, "%2u:%2u:%2u%c", &h, &m, &s, &rest), 3);
    assert_true(h <= 23 && m <= 59 && s <= 59 && h >= 21);
    json_decref(poll);
    server.options.ddi_interval_s = 0;
}

/* A bundle that is streamed is read in many small ranges, which must meet no limit of requests. */
static void a_file_may_be_read_in_very_many_pieces(void **state)
{
    struct reply reply;
    char headers[300];
    (void)state;
    take_job();
    const char *file = below("/softwaremodules/", "/artifacts/gate-2.bin");
    for (size_t at = 0; at < image_len; at += 1000) {
        const size_t len = image_len - at < 1000 ? image_len - at : 1000;
        (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\nRange: bytes=%zu-%zu\r\n",
                       token, at, at + 999);
        send_ddi("GET", file, headers, NULL, &reply);
        assert_int_equal(reply.status, 206);
        assert_int_equal(reply.body_len, len);
        assert_memory_equal(reply.body, image + at, len);
        reply_free(&reply);
    }
    /* nothing is left: a client that has it all takes 416 for complete */
    (void)snprintf(headers, sizeof headers, "Authorization: TargetToken %s\r\nRange: bytes=%zu-\r\n", token,
                   image_len);
    send_ddi("GET", file, headers, NULL, &reply);
    assert_int_equal(reply.status, 416);
    reply_free(&reply);
}

/* SWUpdate takes "skip" for an update that was done: outside its window a job is not shown at all. */
static void outside_its_window_a_job_is_withheld_and_never_skipped(void **state)
{
    struct reply reply;
    char body[200];
    (void)state;
    const int hour = (int)(time(NULL) / 3600 % 24);
    take_job();
    assert_int_equal(api_ask(&server, "GET", "/api/v1/releases", NULL, 0, &reply), 200);
    json_t *releases = json_loadb((const char *)reply.body, reply.body_len, 0, NULL);
    const json_int_t id =
        json_integer_value(json_object_get(json_array_get(json_object_get(releases, "releases"), 0), "id"));
    json_decref(releases);
    reply_free(&reply);
    (void)snprintf(body, sizeof body,
                   "{\"release\":%lld,\"phases\":[{\"percent\":100}],\"window\":\"%02d:00-%02d:00\"}",
                   (long long)id, (hour + 3) % 24, (hour + 4) % 24);
    assert_int_equal(api_ask(&server, "POST", "/api/v1/rollouts", body, strlen(body), &reply), 201);
    reply_free(&reply);
    json_t *poll = get("");
    assert_string_equal(link_of(poll, "deploymentBase"), "");
    json_decref(poll);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_poll_has_links_and_a_time_of_day, make, unmake),
        cmocka_unit_test_setup_teardown(a_description_has_what_both_clients_look_for, make, unmake),
        cmocka_unit_test_setup_teardown(the_artifact_comes_whole_in_pieces_and_with_its_sum, make, unmake),
        cmocka_unit_test_setup_teardown(feedback_is_taken_or_refused_by_its_status, make, unmake),
        cmocka_unit_test_setup_teardown(a_client_sends_its_whole_log_and_may_ask_for_the_history, make,
                                        unmake),
        cmocka_unit_test_setup_teardown(a_held_device_is_told_to_cancel, make, unmake),
        cmocka_unit_test_setup_teardown(a_wrong_token_is_refused_before_anything_happens, make, unmake),
        cmocka_unit_test_setup_teardown(bodies_and_paths_that_are_none_are_refused, make, unmake),
        cmocka_unit_test_setup_teardown(a_poll_a_day_is_still_a_time_of_day, make, unmake),
        cmocka_unit_test_setup_teardown(a_file_may_be_read_in_very_many_pieces, make, unmake),
        cmocka_unit_test_setup_teardown(outside_its_window_a_job_is_withheld_and_never_skipped, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
