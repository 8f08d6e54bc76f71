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
    record.header_count = 1;
    REFUSED("INVALID_ARGUMENT", dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    record.header_count = 0;
    DONE(1, dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    is(position == 36, "moves behind the record");
    DONE(0, dohle_arena_write(arena, sizeof arena, &position, &record, &error));
    is(position == 36, "nothing is written where there is no room");
    position = 1000;
    DONE(0, dohle_arena_write(arena, sizeof arena, &position, &record, &error));

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
    dohle_chunk_free(&chunk);

    /* The outcome of an operation: a panic, nothing in time, given once. */
    DONE(0, dohle_start(environment, 0, "testing.panicLater", NULL, NULL, 0, &operation, &error));
    REFUSED("PANIC", dohle_operation_wait(operation, -1, NULL, &error));
    REFUSED("INVALID_ARGUMENT", dohle_operation_wait(operation, -1, NULL, &error));
    dohle_operation_free(operation);
    DONE(0, dohle_start(environment, 0, "testing.fail", "{\"code\":3,\"abortable\":false,\"fatal\":false}", NULL, 0, &operation, &error));
    REFUSED("UNKNOWN_TOPIC_OR_PARTITION", dohle_operation_wait(operation, -1, NULL, &error));
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
    close_under_a_poll(environment, options);
    close_everything_under_waits();
    if (argc > 2) many_clients(environment, options);
    dohle_environment_free(environment);
    return 0;
}
