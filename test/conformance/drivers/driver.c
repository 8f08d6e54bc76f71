/*
 * The driver of C: does what the harness asks, line by line, with nothing but dohle.h. The protocol is in ../README.md.
 *
 * A thread per request; one more takes what the engine has to say (deliveries, space, events) out of the environment's queue.
 */
#include "driver_kit.h"
#include <dirent.h>
#include <dohle.h>
#include <pthread.h>
#include <regex.h>
#include <time.h>
#include <unistd.h>

/* Something with a name. An admin is its client; a broker has none. */
typedef struct Object {
    struct Object *next;
    char *name;
    char kind; /* b, p, c or a */
    uint32_t client, handle;
    /* Of a consumer: the chunk in hand, what the listener was told, the request that reads. */
    dohle_chunk chunk;
    uint32_t place;
    bool closing, cancelled, has_pattern;
    int64_t reading;
    cJSON *events, *last; /* last: what is committed when partitions are revoked */
    regex_t pattern;
} Object;

/* What became of one record. */
typedef struct {
    bool done;
    int32_t partition;
    int64_t offset;
    cJSON *error;
} Fate;

/* Where deliveries find the fate of a record. */
typedef struct Waiting {
    struct Waiting *next;
    uint32_t producer, group, index;
    Fate *fate;
} Waiting;

static dohle_environment *environment;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static Object *objects;
static Waiting *waiting[4096];
static int requests;

/* --- Failures and operations --- */

static cJSON *failure(const char *code, const char *message) {
    cJSON *told = cJSON_CreateObject();
    cJSON_AddStringToObject(told, "code", code);
    if (message != NULL) cJSON_AddStringToObject(told, "message", message);
    return told;
}

static cJSON *told(dohle_error *error) {
    cJSON *json = cJSON_Parse(dohle_error_json(error));
    dohle_error_free(error);
    return json;
}

static bool is_code(const cJSON *error, const char *code) { return strcmp(text_of(error, "code"), code) == 0; }

static cJSON *with(cJSON *object, const char *name, cJSON *item) {
    cJSON_AddItemToObject(object, name, item);
    return object;
}

static cJSON *parsed(char *response) {
    cJSON *json = cJSON_Parse(response == NULL ? "null" : response);
    dohle_text_free(response);
    return json;
}

static dohle_operation *start(uint32_t handle, const char *operation, cJSON *request, cJSON **error) {
    dohle_operation *started = NULL;
    dohle_error *why = NULL;
    char *text = request == NULL ? NULL : cJSON_PrintUnformatted(request);
    if (dohle_start(environment, handle, operation, text == NULL ? "{}" : text, NULL, 0, &started, &why) < 0) *error = told(why);
    cJSON_Delete(request);
    free(text);
    return started;
}

static cJSON *outcome(dohle_operation *started, cJSON **error) {
    char *response = NULL;
    dohle_error *why = NULL;
    if (started == NULL) return NULL;
    int32_t status = dohle_operation_wait(started, -1, &response, &why);
    dohle_operation_free(started);
    if (status >= 0) return parsed(response);
    *error = told(why);
    return NULL;
}

/* An operation that waits. It takes the request. NULL: it failed. */
static cJSON *run(uint32_t handle, const char *operation, cJSON *request, cJSON **error) {
    return outcome(start(handle, operation, request, error), error);
}

/* One that does not. */
static cJSON *invoke(uint32_t handle, const char *operation, cJSON *request, cJSON **error) {
    char *response = NULL, *text = request == NULL ? NULL : cJSON_PrintUnformatted(request);
    dohle_error *why = NULL;
    int32_t status = dohle_invoke(environment, handle, operation, text == NULL ? "{}" : text, &response, &why);
    cJSON_Delete(request);
    free(text);
    if (status >= 0) return parsed(response);
    *error = told(why);
    return NULL;
}

/* The answer of a request whose operation says nothing. */
static cJSON *nothing(cJSON *response) {
    if (response == NULL) return NULL;
    cJSON_Delete(response);
    return cJSON_CreateObject();
}

/* --- Objects --- */

static Object *named(const char *name, cJSON **error) {
    pthread_mutex_lock(&lock);
    Object *found = objects;
    while (found != NULL && (name == NULL || strcmp(found->name, name) != 0)) found = found->next;
    pthread_mutex_unlock(&lock);
    if (found == NULL) *error = failure("DRIVER", "there is no such object");
    return found;
}

static Object *made(const char *name, char kind, uint32_t client, uint32_t handle) {
    Object *object = calloc(1, sizeof *object);
    *object = (Object){.name = strdup(name), .kind = kind, .client = client, .handle = handle, .events = cJSON_CreateArray()};
    object->chunk.size = sizeof object->chunk;
    pthread_mutex_lock(&lock);
    object->next = objects;
    objects = object;
    pthread_mutex_unlock(&lock);
    return object;
}

static uint32_t opened(const char *kind, uint32_t parent, const cJSON *options, cJSON **error) {
    uint32_t handle = 0;
    dohle_error *why = NULL;
    char *text = options == NULL ? NULL : cJSON_PrintUnformatted(options);
    if (dohle_open(environment, kind, parent, text, &handle, &why) < 0) *error = told(why);
    free(text);
    return handle;
}

static cJSON *make(const cJSON *request, char kind, const char *what, cJSON **error) {
    uint32_t client = opened("client", 0, member(request, "client"), error), handle = client;
    if (*error == NULL && what != NULL) handle = opened(what, client, member(request, "options"), error);
    if (*error == NULL) made(text_of(request, "name"), kind, client, handle);
    else if (client != 0) {
        cJSON *ignored = NULL;
        cJSON_Delete(run(client, "client.close", NULL, &ignored));
        cJSON_Delete(ignored);
    }
    return *error == NULL ? cJSON_CreateObject() : NULL;
}

static void drop_chunk(Object *consumer) {
    dohle_progress_free(consumer->chunk.progress);
    dohle_chunk_free(&consumer->chunk);
    consumer->chunk = (dohle_chunk){.size = sizeof consumer->chunk};
}

/* The listener: notes what it is asked, commits what it was given when partitions are revoked, and lets it happen. */
static void listen(Object *consumer, char *text) {
    cJSON *question = parsed(text), *error = NULL;
    const char *name = text_of(question, "name");
    cJSON *event = with(cJSON_CreateObject(), "event", cJSON_CreateString(strcmp(name, "revoke") == 0 ? "revoked" : name));
    cJSON_AddItemToArray(consumer->events, with(event, "partitions", copy_of(member(question, "request"), "partitions")));
    if (strcmp(name, "revoke") == 0 && consumer->last != NULL)
        cJSON_Delete(run(consumer->handle, "consumer.commit", cJSON_Duplicate(consumer->last, true), &error));
    cJSON_Delete(error);
    error = NULL;
    cJSON *answer = with(cJSON_CreateObject(), "id", copy_of(question, "id"));
    cJSON_Delete(invoke(0, "environment.answer", answer, &error));
    cJSON_Delete(error);
    cJSON_Delete(question);
}

/* An operation of a consumer during which its listener may be asked. */
static cJSON *run_asked(Object *consumer, const char *operation, cJSON *request, cJSON **error) {
    dohle_operation *started = start(consumer->handle, operation, request, error);
    if (started == NULL) return NULL;
    for (;;) {
        char *response = NULL, *question = NULL;
        dohle_error *why = NULL;
        int32_t status = dohle_operation_wait(started, 10, &response, &why);
        if (status != 0) {
            dohle_operation_free(started);
            if (status > 0) return parsed(response);
            *error = told(why);
            return NULL;
        }
        if (dohle_question(environment, consumer->handle, 0, &question, NULL) == 3) listen(consumer, question);
    }
}

static cJSON *close_object(Object *object, int64_t ms, cJSON **error) {
    cJSON *request = cJSON_CreateObject();
    if (ms >= 0) cJSON_AddNumberToObject(request, "timeoutMs", (double)ms);
    cJSON *done = NULL, *ignored = NULL;
    if (object->kind == 'c') {
        pthread_mutex_lock(&lock);
        object->closing = true;
        while (object->reading != 0) {
            dohle_wake(environment, object->handle, NULL);
            pthread_cond_wait(&changed, &lock);
        }
        pthread_mutex_unlock(&lock);
        drop_chunk(object);
        done = run_asked(object, "consumer.close", request, error);
    } else if (object->kind == 'p') {
        done = run(object->handle, "producer.close", request, error);
    } else {
        cJSON_Delete(request);
        if (object->kind == 'b') done = run(object->handle, "broker.stop", NULL, error);
    }
    cJSON_Delete(done);
    if (object->client != 0) cJSON_Delete(run(object->client, "client.close", NULL, &ignored));
    cJSON_Delete(ignored);
    return *error == NULL ? cJSON_CreateObject() : NULL;
}

static cJSON *reset(void) {
    int count = 0;
    pthread_mutex_lock(&lock);
    Object *list = objects;
    objects = NULL;
    pthread_mutex_unlock(&lock);
    for (Object *next; list != NULL; list = next, count++) {
        cJSON *error = NULL;
        next = list->next;
        cJSON_Delete(close_object(list, 0, &error));
        cJSON_Delete(error);
        cJSON_Delete(list->events);
        cJSON_Delete(list->last);
        if (list->has_pattern) regfree(&list->pattern);
        free(list->name);
        free(list);
    }
    return with(cJSON_CreateObject(), "open", cJSON_CreateNumber(count));
}

#include "driver_producer.h"

#include "driver_consumer.h"

#include "driver_admin.h"

/* --- Requests --- */

static int entries_of(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *one; dir != NULL && (one = readdir(dir)) != NULL;) count += one->d_name[0] != '.';
    if (dir != NULL) closedir(dir);
    return count;
}

static cJSON *usage(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    if (file != NULL) fclose(file);
    cJSON *told = cJSON_CreateObject();
    cJSON_AddNumberToObject(told, "rss", (double)pages * (double)sysconf(_SC_PAGESIZE));
    cJSON_AddNumberToObject(told, "threads", entries_of("/proc/self/task"));
    cJSON_AddNumberToObject(told, "files", entries_of("/proc/self/fd"));
    return told;
}

static cJSON *churn(const cJSON *request, cJSON **error) {
    cJSON *options = cJSON_Parse("{\"group.id\":\"churn\"}");
    for (int64_t n = 0; n < number_of(request, "count", 0) && *error == NULL; n++) {
        uint32_t client = opened("client", 0, member(request, "client"), error), handle = 0;
        if (*error == NULL && n % 3 == 0) handle = opened("producer", client, NULL, error);
        else if (*error == NULL && n % 3 == 1) handle = opened("polling consumer", client, options, error);
        if (handle != 0) cJSON_Delete(run(handle, n % 3 == 0 ? "producer.close" : "consumer.close", NULL, error));
        if (*error == NULL) cJSON_Delete(run(client, "client.close", NULL, error));
    }
    cJSON_Delete(options);
    return *error == NULL ? cJSON_CreateObject() : NULL;
}

static cJSON *broker(const cJSON *request, cJSON **error) {
    cJSON *options = with(cJSON_CreateObject(), "partitions", copy_of(request, "partitions"));
    cJSON *running = run(0, "environment.startBroker", options, error);
    if (running == NULL) return NULL;
    made(text_of(request, "name"), 'b', 0, (uint32_t)number_of(running, "handle", 0));
    cJSON *told = with(cJSON_CreateObject(), "address", copy_of(running, "address"));
    cJSON_Delete(running);
    return told;
}

static cJSON *transaction(const cJSON *request, const char *operation, cJSON **error) {
    const Object *producer = named(text_of(request, "of"), error);
    return producer == NULL ? NULL : nothing(run(producer->handle, operation, NULL, error));
}

static cJSON *act(const char *what, const cJSON *request, cJSON **error) {
    if (strcmp(what, "broker") == 0) return broker(request, error);
    if (strcmp(what, "producer") == 0) return make(request, 'p', "producer", error);
    if (strcmp(what, "consumer") == 0) return make(request, 'c', "listening consumer", error);
    if (strcmp(what, "admin") == 0) return make(request, 'a', NULL, error);
    if (strcmp(what, "reset") == 0) return reset();
    if (strcmp(what, "usage") == 0) return usage();
    if (strcmp(what, "churn") == 0) return churn(request, error);
    if (strcmp(what, "cancel") == 0) return cancel(request);
    if (strcmp(what, "produce") == 0) return produce(request, error);
    if (strcmp(what, "flush") == 0) return transaction(request, "producer.flush", error);
    if (strcmp(what, "begin") == 0) return transaction(request, "producer.beginTransaction", error);
    if (strcmp(what, "commitTransaction") == 0) return transaction(request, "producer.commitTransaction", error);
    if (strcmp(what, "abortTransaction") == 0) return transaction(request, "producer.abortTransaction", error);
    Object *of = named(text_of(request, "of"), error);
    if (of == NULL) return NULL;
    if (strcmp(what, "close") == 0) return close_object(of, number_of(request, "ms", -1), error);
    if (strcmp(what, "sendOffsets") == 0) return send_offsets(of, request, error);
    if (of->kind == 'c') return act_consumer(of, what, request, error);
    return act_admin(of->handle, what, request, error);
}

static void *answer(void *line) {
    cJSON *request = cJSON_Parse(line), *error = NULL, *told = cJSON_CreateObject();
    with(told, "id", copy_of(request, "id"));
    cJSON *result = act(text_of(request, "do"), request, &error);
    if (error != NULL) cJSON_Delete(result);
    with(told, error == NULL ? "result" : "error", error == NULL ? result : error);
    char *text = cJSON_PrintUnformatted(told);
    pthread_mutex_lock(&lock);
    puts(text);
    fflush(stdout);
    requests--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    cJSON_Delete(told);
    cJSON_Delete(request);
    free(text);
    free(line);
    return NULL;
}

int main(void) {
    pthread_t drainer, thread;
    size_t capacity = 0;
    if (dohle_abi_version() != DOHLE_ABI_VERSION || dohle_environment_new(&environment, NULL) < 0) return 1;
    pthread_create(&drainer, NULL, drain, NULL);
    char *line = NULL;
    for (; getline(&line, &capacity, stdin) > 0; line = NULL, capacity = 0) {
        pthread_mutex_lock(&lock);
        requests++;
        pthread_mutex_unlock(&lock);
        if (pthread_create(&thread, NULL, answer, line) != 0) return 1;
        pthread_detach(thread);
    }
    free(line);
    cJSON_Delete(reset());
    pthread_mutex_lock(&lock);
    while (requests > 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    dohle_environment_close(environment);
    pthread_join(drainer, NULL);
    dohle_environment_free(environment);
    return 0;
}
