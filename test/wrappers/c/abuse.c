/*
 * Uses the library as it is not to be used, and from many threads at once: each time a clear failure, never a crash.
 * Ends with 0 and a line per group of cases.
 */
#include <dohle.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int line_of_case;

/* A failure with this code must come; its object is looked at and freed. */
#define REFUSED(code, call)                                                                                            \
    do {                                                                                                               \
        line_of_case = __LINE__;                                                                                       \
        dohle_error *error = NULL;                                                                                     \
        int32_t status = (call);                                                                                       \
        is(status < 0 && error != NULL, "is not refused");                                                             \
        is(strcmp(dohle_error_code(error), code) == 0, dohle_error_json(error));                                       \
        is(strlen(dohle_error_message(error)) > 0 && strstr(dohle_error_json(error), code) != NULL, "says nothing");   \
        dohle_error_free(error);                                                                                       \
    } while (0)

#define DONE(expected, call)                                                                                           \
    do {                                                                                                               \
        line_of_case = __LINE__;                                                                                       \
        dohle_error *error = NULL;                                                                                     \
        int32_t status = (call);                                                                                       \
        is(error == NULL, dohle_error_json(error));                                                                    \
        is(status == (expected), "another status");                                                                    \
    } while (0)

static void is(int yes, const char *why) {
    if (yes) return;
    fprintf(stderr, "line %d: %s\n", line_of_case, why == NULL ? "(nothing said)" : why);
    exit(1);
}

static void null_and_nonsense(dohle_environment *environment) {
    uint32_t handle = 0;
    size_t position = 0;
    uint8_t arena[64] = {0};
    uint32_t answers[8];
    char *text = NULL;
    dohle_operation *operation = NULL;
    dohle_chunk chunk = {.size = sizeof chunk};
    dohle_chunk small = {.size = 8};
    dohle_entry entries[2];
    dohle_appended appended = {.size = sizeof appended};
    dohle_record record = {.size = sizeof record, .partition = -1, .timestamp = -1, .value = arena, .value_length = 8};

    REFUSED("INVALID_ARGUMENT", dohle_environment_new(NULL, &error));
    REFUSED("INVALID_ARGUMENT", dohle_wait(NULL, 0, &error));
    REFUSED("INVALID_ARGUMENT", dohle_drain(environment, NULL, 2, sizeof entries[0], &error));
    REFUSED("INVALID_ARGUMENT", dohle_drain(environment, entries, 2, 8, &error));
    REFUSED("INVALID_ARGUMENT", dohle_open(environment, NULL, 0, NULL, &handle, &error));
    REFUSED("INVALID_ARGUMENT", dohle_open(environment, "cluster", 0, NULL, &handle, &error));
    REFUSED("INVALID_ARGUMENT", dohle_open(environment, "client", 0, NULL, NULL, &error));
    REFUSED("INVALID_ARGUMENT", dohle_open(environment, "client", 0, "{", &handle, &error));
    REFUSED("INVALID_ARGUMENT", dohle_open(environment, "client", 0, "\xff", &handle, &error));
    REFUSED("INVALID_CONFIG", dohle_open(environment, "client", 0, "{\"brokers\":[\"a:1\"],\"lingerMs\":\"soon\"}", &handle, &error));
    REFUSED("CLOSED", dohle_open(environment, "producer", 77, NULL, &handle, &error));
    REFUSED("INVALID_ARGUMENT", dohle_invoke(environment, 0, "no.such", NULL, &text, &error));
    REFUSED("INVALID_ARGUMENT", dohle_invoke(environment, 0, "environment.answer", "[1]", &text, &error));
    REFUSED("PANIC", dohle_invoke(environment, 0, "testing.panic", NULL, &text, &error));
    REFUSED("INVALID_ARGUMENT", dohle_start(environment, 0, "no.such", NULL, NULL, 0, &operation, &error));
    REFUSED("INVALID_ARGUMENT", dohle_operation_wait(NULL, 0, NULL, &error));
    REFUSED("CLOSED", dohle_next_chunk(environment, 12345, &chunk, &error));
    REFUSED("INVALID_ARGUMENT", dohle_next_chunk(environment, 12345, &small, &error));
    REFUSED("CLOSED", dohle_topic(environment, 0, "t", &handle, &error));
    REFUSED("CLOSED", dohle_append(environment, 99, arena, 0, 0, answers, 4, &appended, &error));
    REFUSED("INVALID_ARGUMENT", dohle_append(environment, 99, arena, 8, 4, answers, 4, &appended, &error));
    REFUSED("INVALID_ARGUMENT", dohle_arena_write(NULL, 0, &position, &record, &error));
    record.partition = -2;
    REFUSED("INVALID_ARGUMENT", dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    record.partition = -1;
    record.header_count = 1;
    REFUSED("INVALID_ARGUMENT", dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    record.header_count = 0;
    DONE(1, dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    is(position == 36, "moves behind the record");
    DONE(0, dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    is(position == 36, "nothing is written where there is no room");
    position = 1000;
    DONE(0, dohle_arena_write(arena, sizeof arena, &position, &record, &error));

    /* What no other case calls. */
    dohle_message message = {.size = sizeof message};
    const char *name;
    const uint8_t *value;
    size_t name_length, value_length;
    REFUSED("INVALID_ARGUMENT", dohle_call(NULL, 1, 0, "client.close", NULL, NULL, 0, &error));
    REFUSED("INVALID_ARGUMENT", dohle_call(environment, 1, 0, NULL, NULL, NULL, 0, &error));
    DONE(0, dohle_cancel(environment, 99, &error));
    REFUSED("INVALID_ARGUMENT", dohle_take_chunk(environment, 99, NULL, &error));
    DONE(0, dohle_take_chunk(environment, 99, &chunk, &error));
    REFUSED("INVALID_ARGUMENT", dohle_take_chunk(environment, 99, &small, &error));
    REFUSED("INVALID_ARGUMENT", dohle_operation_chunk(NULL, &chunk, &error));
    REFUSED("CLOSED", dohle_poll(environment, 12345, -1, &chunk, &text, &error));
    REFUSED("INVALID_ARGUMENT", dohle_poll(environment, 12345, -1, &small, &text, &error));
    REFUSED("CLOSED", dohle_question(environment, 12345, -1, &text, &error));
    REFUSED("CLOSED", dohle_wake(environment, 12345, &error));
    REFUSED("INVALID_ARGUMENT", dohle_wake_fd(NULL, &error));
    is(dohle_record_at(NULL, 0, &message) < 0 && dohle_record_at(&chunk, 0, &message) < 0, "no chunk, no record");
    is(dohle_record_at(&chunk, 0, NULL) < 0, "no place for the record");
    is(dohle_next_header(NULL, &name, &name_length, &value, &value_length) < 0, "no record, no header");
    is(dohle_next_header(&message, &name, &name_length, &value, &value_length) == 0, "no header");

    /* Failures that nobody wants to know, and freeing nothing. */
    is(dohle_wait(NULL, 0, NULL) < 0, "without a place for the error");
    dohle_error_free(NULL);
    dohle_text_free(NULL);
    dohle_operation_free(NULL);
    dohle_environment_free(NULL);
    dohle_environment_close(NULL);
    dohle_chunk_free(NULL);
    dohle_progress_free(NULL);
    is(dohle_progress_set(NULL, 0, 0) == 1 && dohle_progress_words(NULL) == NULL, "no progress");
    is(dohle_error_code(NULL) == NULL && !dohle_error_fatal(NULL), "no error");
    is(dohle_error_at(NULL, 0) == NULL && dohle_error_at(NULL, 1) == NULL, "nothing is in no error");
    dohle_chunk_free(&chunk);

    /* The outcome of an operation: a panic, nothing in time, given once. */
    DONE(0, dohle_start(environment, 0, "testing.panicLater", NULL, NULL, 0, &operation, &error));
    REFUSED("PANIC", dohle_operation_wait(operation, -1, NULL, &error));
    REFUSED("INVALID_ARGUMENT", dohle_operation_wait(operation, -1, NULL, &error));
    dohle_operation_free(operation);
    DONE(0, dohle_start(environment, 0, "testing.fail", "{\"code\":3,\"abortable\":false,\"fatal\":false}", NULL, 0, &operation, &error));
    REFUSED("UNKNOWN_TOPIC_OR_PARTITION", dohle_operation_wait(operation, -1, NULL, &error));
    REFUSED("INVALID_ARGUMENT", dohle_operation_chunk(operation, NULL, &error));
    DONE(0, dohle_operation_chunk(operation, &chunk, &error));
    dohle_operation_free(operation);
    puts("nonsense: refused");
}

static char *run(dohle_environment *environment, uint32_t handle, const char *name, const char *request) {
    dohle_operation *operation = NULL;
    char *response = NULL;
    DONE(0, dohle_start(environment, handle, name, request, NULL, 0, &operation, &error));
    DONE(1, dohle_operation_wait(operation, -1, &response, &error));
    dohle_operation_free(operation);
    return response;
}

static void use_after_close(dohle_environment *environment, const char *client_options) {
    uint32_t client, producer, consumer, topic;
    char *text = NULL, *question = NULL;
    dohle_chunk chunk = {.size = sizeof chunk};
    DONE(0, dohle_open(environment, "client", 0, client_options, &client, &error));
    DONE(0, dohle_open(environment, "producer", client, NULL, &producer, &error));
    DONE(0, dohle_open(environment, "consumer", client, NULL, &consumer, &error));
    REFUSED("INVALID_ARGUMENT", dohle_poll(environment, consumer, 0, &chunk, &question, &error));
    REFUSED("INVALID_ARGUMENT", dohle_invoke(environment, client, "consumer.pause", "{\"partitions\":[]}", &text, &error));
    REFUSED("INVALID_ARGUMENT", dohle_topic(environment, consumer, "t", &topic, &error));
    for (int twice = 0; twice < 2; twice++) {
        dohle_text_free(run(environment, consumer, "consumer.close", "{}"));
        dohle_text_free(run(environment, producer, "producer.close", "{}"));
        dohle_text_free(run(environment, client, "client.close", "{}"));
    }
    REFUSED("CLOSED", dohle_next_chunk(environment, consumer, &chunk, &error));
    REFUSED("CLOSED", dohle_topic(environment, producer, "t", &topic, &error));
    REFUSED("CLOSED", dohle_open(environment, "producer", client, NULL, &producer, &error));
    puts("use after close: refused");
}

/* An arena is to hold what dohle_arena_write wrote; one that does not is refused all the same, and nothing is read behind its end. */
static void garbage(dohle_environment *environment, const char *client_options) {
    uint32_t client, producer, topic, random = 1;
    uint8_t *arena = malloc(256);
    uint32_t answers[2 * 16];
    DONE(0, dohle_open(environment, "client", 0, client_options, &client, &error));
    DONE(0, dohle_open(environment, "producer", client, "{\"maxRequestSize\":1000}", &producer, &error));
    DONE(0, dohle_topic(environment, producer, "garbage", &topic, &error));
    for (int round = 0; round < 2000; round++) {
        dohle_appended appended = {.size = sizeof appended};
        dohle_error *error = NULL;
        size_t end = round % 257;
        for (size_t i = 0; i < end; i++) arena[i] = (random = random * 1664525 + 1013904223) >> (round % 3 == 0 ? 24 : 30);
        dohle_append(environment, producer, arena, end / 3 * (round % 2), end, answers, 16, &appended, &error);
        dohle_error_free(error);
    }
    free(arena);

    /* Each record that is refused has its own reason, and no place beside. */
    size_t position = 0;
    uint8_t *large = malloc(8192);
    dohle_record record = {.size = sizeof record, .topic = topic, .partition = -1, .timestamp = -1, .value = large, .value_length = 2000};
    uint8_t *two = malloc(8192);
    memset(large, 'x', 8192);
    for (int i = 0; i < 2; i++, record.value_length++) DONE(1, dohle_arena_write(two, 8192, &position, &record, &error));
    dohle_appended appended = {.size = sizeof appended};
    dohle_error *error = NULL;
    is(dohle_append(environment, producer, two, 0, position, answers, 16, &appended, &error) == 0 && appended.refused == 2, "both are refused");
    is(answers[0] == 0xFFFFFFFF && answers[2] == 0xFFFFFFFF, "and answered so");
    const dohle_error *first = dohle_error_at(error, answers[1]), *second = dohle_error_at(error, answers[3]);
    is(first != NULL && second != NULL && first != second, "each has its reason");
    is(strcmp(dohle_error_code(second), "MESSAGE_TOO_LARGE") == 0, "which is its own");
    is(strcmp(dohle_error_message(first), dohle_error_message(second)) != 0, "and tells of it alone");
    is(dohle_error_at(error, 2) == NULL && dohle_error_at(error, 0xFFFFFFFF) == NULL, "there are no more");
    dohle_error_free(error);
    free(large);
    free(two);
    dohle_text_free(run(environment, client, "client.close", "{}"));
    puts("garbage in an arena: refused");
}

static void many_clients(dohle_environment *environment, const char *client_options) {
    for (int i = 0; i < 10000; i++) {
        uint32_t client, producer;
        DONE(0, dohle_open(environment, "client", 0, client_options, &client, &error));
        if (i % 10 == 0) DONE(0, dohle_open(environment, "producer", client, NULL, &producer, &error));
        dohle_text_free(run(environment, client, "client.close", "{}"));
    }
    puts("10000 clients: opened and closed");
}

struct polling {
    dohle_environment *environment;
    uint32_t consumer;
    int32_t last;
};

static void *poll_until_it_ends(void *argument) {
    struct polling *polling = argument;
    do {
        dohle_chunk chunk = {.size = sizeof chunk};
        polling->last = dohle_poll(polling->environment, polling->consumer, -1, &chunk, NULL, NULL);
        if (polling->last == 1) {
            dohle_progress_free(chunk.progress);
            dohle_chunk_free(&chunk);
        }
    } while (polling->last >= 0 && polling->last != 2);
    return NULL;
}

static void close_under_a_poll(dohle_environment *environment, const char *client_options) {
    for (int round = 0; round < 20; round++) {
        uint32_t client;
        struct polling polling = {.environment = environment, .last = 0};
        pthread_t thread;
        DONE(0, dohle_open(environment, "client", 0, client_options, &client, &error));
        DONE(0, dohle_open(environment, "polling consumer", client, "{\"groupId\":\"abuse\"}", &polling.consumer, &error));
        DONE(0, dohle_invoke(environment, polling.consumer, "consumer.subscribe", "{\"topics\":[\"abuse\"]}", NULL, &error));
        pthread_create(&thread, NULL, poll_until_it_ends, &polling);
        if (round % 2 == 0) {
            DONE(0, dohle_wake(environment, polling.consumer, &error));
            pthread_join(thread, NULL);
            is(polling.last == 2, "a wake-up ends the poll");
        }
        dohle_text_free(run(environment, polling.consumer, "consumer.close", "{}"));
        if (round % 2 == 1) pthread_join(thread, NULL);
        is(polling.last < 0 || polling.last == 2, "the end of the consumer ends the poll");
        dohle_text_free(run(environment, client, "client.close", "{}"));
    }
    puts("closed while another thread polls: the poll ends");
}

struct waiting {
    dohle_environment *environment;
    int32_t status;
};

static void *wait_for_ever(void *argument) {
    struct waiting *waiting = argument;
    dohle_entry entry;
    do {
        waiting->status = dohle_wait(waiting->environment, -1, NULL);
        while (dohle_drain(waiting->environment, &entry, 1, sizeof entry, NULL) == 1) dohle_text_free(entry.text);
    } while (waiting->status == 1);
    return NULL;
}

static void close_everything_under_waits(void) {
    for (int round = 0; round < 20; round++) {
        struct waiting waiting = {0};
        pthread_t thread;
        dohle_operation *operation = NULL;
        DONE(0, dohle_environment_new(&waiting.environment, &error));
        pthread_create(&thread, NULL, wait_for_ever, &waiting);
        DONE(0, dohle_start(waiting.environment, 0, "testing.ask", "{\"of\":0,\"text\":\"t\",\"deadlineMs\":3600000}", NULL, 0, &operation, &error));
        DONE(0, dohle_operation_wait(operation, 0, NULL, &error));
        dohle_environment_close(waiting.environment);
        pthread_join(thread, NULL);
        is(waiting.status == 2, "the end of the environment ends the wait");
        dohle_error *error = NULL;
        is(dohle_operation_wait(operation, -1, NULL, &error) < 0, "and the operation");
        dohle_error_free(error);
        dohle_operation_free(operation);
        uint32_t handle;
        REFUSED("CLOSED", dohle_open(waiting.environment, "client", 0, "{\"brokers\":[\"127.0.0.1:1\"]}", &handle, &error));
        dohle_environment_close(waiting.environment);
        dohle_environment_free(waiting.environment);
    }
    puts("closed while others wait: the waits end");
}

int main(int argc, char **argv) {
    dohle_environment *environment = NULL;
    char options[256];
    if (argc < 2) return 2;
    snprintf(options, sizeof options, "{\"brokers\":[\"%s\"]}", argv[1]);
    DONE(0, dohle_environment_new(&environment, &error));
    null_and_nonsense(environment);
    use_after_close(environment, options);
    garbage(environment, options);
    close_under_a_poll(environment, options);
    close_everything_under_waits();
    if (argc > 2) many_clients(environment, options);
    dohle_environment_free(environment);
    return 0;
}
