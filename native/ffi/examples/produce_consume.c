/*
 * Sends 10,000 records and reads them back, with nothing but dohle.h and one thread.
 *
 *   cc -Wall produce_consume.c $(pkg-config --cflags --libs dohle) -o produce_consume
 *   ./produce_consume                    # against an embedded broker, in this process
 *   ./produce_consume localhost:9092     # against a cluster
 */
#include <dohle.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 10000
#define ARENA (256 * 1024)

/* Every function tells of a failure in the same way. */
static void check(int32_t status, dohle_error *error, const char *what) {
    if (status >= 0 && error == NULL) return;
    fprintf(stderr, "%s: %s: %s\n", what, dohle_error_code(error), dohle_error_message(error));
    dohle_error_free(error);
    exit(1);
}

/* An operation of the long table, waited for; its response is to be freed with dohle_text_free. */
static char *run(const dohle_environment *environment, uint32_t handle, const char *operation, const char *request) {
    dohle_operation *started = NULL;
    dohle_error *error = NULL;
    char *response = NULL;
    check(dohle_start(environment, handle, operation, request, NULL, 0, &started, &error), error, operation);
    check(dohle_operation_wait(started, -1, &response, &error), error, operation);
    dohle_operation_free(started);
    return response;
}

/* The value of a member of a response whose form is known; a program with more to read uses a JSON library. */
static void member(const char *json, const char *name, char *out, size_t size) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    size_t length = 0;
    if (at != NULL) {
        at += strlen(key);
        at += *at == '"';
        length = strcspn(at, "\",}");
    }
    snprintf(out, size, "%.*s", (int)length, at == NULL ? "" : at);
}

/* Takes what the engine has to say until `pending` records are acknowledged. */
static size_t drain(const dohle_environment *environment, int64_t timeout_ms, size_t pending) {
    dohle_entry entries[64];
    dohle_error *error = NULL;
    check(dohle_wait(environment, timeout_ms, &error), error, "wait");
    int32_t count = dohle_drain(environment, entries, 64, sizeof entries[0], &error);
    check(count, error, "drain");
    for (int32_t i = 0; i < count; i++) {
        if (entries[i].kind == 1) {
            if (entries[i].text != NULL) {
                fprintf(stderr, "not delivered: %s\n", entries[i].text);
                exit(1);
            }
            pending -= entries[i].count;
        }
        dohle_text_free(entries[i].text);
    }
    return pending;
}

static void produce(const dohle_environment *environment, uint32_t client, const char *topic_name) {
    dohle_error *error = NULL;
    uint32_t producer, topic;
    check(dohle_open(environment, "producer", client, "{\"compression\":\"lz4\"}", &producer, &error), error, "producer");
    check(dohle_topic(environment, producer, topic_name, &topic, &error), error, "topic");

    uint8_t *arena = malloc(ARENA);
    static uint32_t answers[2 * RECORDS];
    size_t pending = 0;
    for (int next = 0; next < RECORDS;) {
        /* Fill an arena with as many records as it holds ... */
        size_t end = 0;
        for (; next < RECORDS; next++) {
            char key[32], value[64];
            int key_length = snprintf(key, sizeof key, "key-%d", next % 100);
            int value_length = snprintf(value, sizeof value, "{\"number\":%d}", next);
            dohle_header header = {.name = "from", .name_length = 4, .value = (const uint8_t *)"C", .value_length = 1};
            dohle_record record = {.size = sizeof record, .topic = topic, .partition = -1, .timestamp = -1,
                                   .key = (const uint8_t *)key, .key_length = (size_t)key_length,
                                   .value = (const uint8_t *)value, .value_length = (size_t)value_length,
                                   .headers = &header, .header_count = 1};
            int32_t written = dohle_arena_write(arena, ARENA, &end, &record, &error);
            check(written, error, "write");
            if (written == 0) break;
        }
        /* ... and give it away in one call. What finds no room is offered again. */
        for (size_t start = 0; start < end;) {
            dohle_appended appended = {.size = sizeof appended};
            check(dohle_append(environment, producer, arena, start, end, answers, RECORDS, &appended, &error), error, "append");
            pending += appended.count;
            start = (size_t)appended.position;
            if (appended.full) pending = drain(environment, -1, pending);
        }
    }
    while (pending > 0) pending = drain(environment, -1, pending);
    free(arena);
    dohle_text_free(run(environment, producer, "producer.close", "{}"));
    printf("%d records acknowledged\n", RECORDS);
}

static void consume(const dohle_environment *environment, uint32_t client, const char *topic_name) {
    dohle_error *error = NULL;
    uint32_t consumer;
    char request[256];
    const char *options = "{\"groupId\":\"example-c\",\"autoOffsetReset\":\"earliest\"}";
    check(dohle_open(environment, "polling consumer", client, options, &consumer, &error), error, "consumer");
    snprintf(request, sizeof request, "{\"topics\":[\"%s\"]}", topic_name);
    check(dohle_invoke(environment, consumer, "consumer.subscribe", request, NULL, &error), error, "subscribe");

    uint64_t count = 0, bytes = 0, headers = 0;
    while (count < RECORDS) {
        dohle_chunk chunk = {.size = sizeof chunk};
        int32_t polled = dohle_poll(environment, consumer, 1000, &chunk, NULL, &error);
        check(polled, error, "poll");
        if (polled != 1) continue;
        dohle_message message = {.size = sizeof message};
        /* Before each record: how far we are, and whether the partition is still ours. */
        for (uint32_t k = 0; k < chunk.count && dohle_progress_set(chunk.progress, k, k + 1) == 0; k++) {
            dohle_record_at(&chunk, k, &message);
            const char *name;
            const uint8_t *value;
            size_t name_length, value_length;
            while (dohle_next_header(&message, &name, &name_length, &value, &value_length) == 1) headers += value_length;
            bytes += message.key_length + message.value_length;
            count++;
        }
        dohle_progress_set(chunk.progress, chunk.count, chunk.count);
        dohle_progress_free(chunk.progress);
        dohle_chunk_free(&chunk);
    }
    dohle_text_free(run(environment, consumer, "consumer.commit", "{}"));
    dohle_text_free(run(environment, consumer, "consumer.close", "{}"));
    printf("%" PRIu64 " records of %" PRIu64 " bytes read, %" PRIu64 " bytes of headers\n", count, bytes, headers);
}

int main(int argc, char **argv) {
    if (dohle_abi_version() != DOHLE_ABI_VERSION) {
        fprintf(stderr, "libdohle %s has another ABI than dohle.h\n", dohle_version());
        return 1;
    }
    dohle_environment *environment = NULL;
    dohle_error *error = NULL;
    check(dohle_environment_new(&environment, &error), error, "environment");

    uint32_t broker = 0;
    char brokers[256], number[16];
    if (argc > 1) {
        snprintf(brokers, sizeof brokers, "%s", argv[1]);
    } else {
        char *running = run(environment, 0, "environment.startBroker", "{\"partitions\":3}");
        member(running, "address", brokers, sizeof brokers);
        member(running, "handle", number, sizeof number);
        broker = (uint32_t)strtoul(number, NULL, 10);
        dohle_text_free(running);
    }
    const char *topic = argc > 2 ? argv[2] : "example-c";
    char options[320];
    snprintf(options, sizeof options, "{\"brokers\":[\"%s\"]}", brokers);
    uint32_t client;
    check(dohle_open(environment, "client", 0, options, &client, &error), error, "client");
    produce(environment, client, topic);
    consume(environment, client, topic);
    dohle_text_free(run(environment, client, "client.close", "{}"));
    if (broker != 0) dohle_text_free(run(environment, broker, "broker.stop", "{}"));
    dohle_environment_free(environment);
    return 0;
}
