/* Part of driver.c: reading. */

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static cJSON *seen(const Object *consumer, dohle_message *message) {
    const dohle_chunk *chunk = &consumer->chunk;
    cJSON *told = cJSON_CreateObject(), *headers = cJSON_CreateArray();
    char *topic = strndup(chunk->topic, chunk->topic_length);
    cJSON_AddStringToObject(told, "topic", topic);
    free(topic);
    cJSON_AddNumberToObject(told, "partition", chunk->partition);
    cJSON_AddNumberToObject(told, "offset", (double)message->offset);
    cJSON_AddNumberToObject(told, "timestamp", (double)message->timestamp);
    with(told, "key", told_bytes(message->key, message->key_length));
    with(told, "value", told_bytes(message->value, message->value_length));
    const char *name;
    const uint8_t *value;
    size_t name_length, value_length;
    while (dohle_next_header(message, &name, &name_length, &value, &value_length) == 1) {
        char *text = strndup(name, name_length);
        cJSON *pair = cJSON_CreateArray();
        cJSON_AddItemToArray(pair, cJSON_CreateString(text));
        cJSON_AddItemToArray(pair, told_bytes(value, value_length));
        cJSON_AddItemToArray(headers, pair);
        free(text);
    }
    return with(told, "headers", headers);
}

/* The next record of the chunk in hand, which is done with it; false when there is none. */
static bool next_record(Object *consumer, cJSON *records) {
    dohle_chunk *chunk = &consumer->chunk;
    dohle_message message = {.size = sizeof message};
    if (chunk->progress == NULL) return false;
    if (consumer->place == chunk->count || dohle_progress_set(chunk->progress, consumer->place, consumer->place + 1) != 0) {
        drop_chunk(consumer);
        return false;
    }
    dohle_record_at(chunk, consumer->place++, &message);
    if (records != NULL) cJSON_AddItemToArray(records, seen(consumer, &message));
    dohle_progress_set(chunk->progress, consumer->place, consumer->place);
    return true;
}

/* Polls once. False: the reading ends, maybe with an error. */
static bool poll_once(Object *consumer, int64_t left, cJSON **error) {
    char *question = NULL;
    dohle_error *why = NULL;
    consumer->place = 0;
    int32_t polled = dohle_poll(environment, consumer->handle, left, &consumer->chunk, &question, &why);
    if (polled == 3) listen(consumer, question);
    if (polled < 0) {
        *error = told(why);
        if (consumer->closing && is_code(*error, "CLOSED")) {
            cJSON_Delete(*error);
            *error = NULL;
        }
    }
    pthread_mutex_lock(&lock);
    if (consumer->cancelled && *error == NULL) *error = failure("ABORTED", NULL);
    bool goes_on = polled > 0 && *error == NULL && !consumer->closing;
    pthread_mutex_unlock(&lock);
    return goes_on;
}

static cJSON *consume(Object *consumer, const cJSON *request, cJSON **error) {
    int64_t count = number_of(request, "count", 0), read = 0, end = now_ms() + number_of(request, "ms", 0);
    bool quiet = cJSON_IsTrue(member(request, "quiet"));
    cJSON *records = quiet ? NULL : cJSON_CreateArray();
    pthread_mutex_lock(&lock);
    consumer->reading = number_of(request, "id", 0);
    consumer->cancelled = false;
    pthread_mutex_unlock(&lock);
    while (read < count) {
        int64_t left = end - now_ms();
        if (next_record(consumer, records)) read++;
        else if (!poll_once(consumer, left > 0 ? left : 0, error)) break;
    }
    pthread_mutex_lock(&lock);
    consumer->reading = 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (*error != NULL) {
        cJSON_Delete(records);
        return NULL;
    }
    return with(cJSON_CreateObject(), quiet ? "count" : "records", quiet ? cJSON_CreateNumber((double)read) : records);
}

static cJSON *cancel(const cJSON *request) {
    pthread_mutex_lock(&lock);
    for (Object *one = objects; one != NULL; one = one->next) {
        if (one->kind != 'c' || one->reading != number_of(request, "request", 0)) continue;
        one->cancelled = true;
        dohle_wake(environment, one->handle, NULL);
    }
    pthread_mutex_unlock(&lock);
    return cJSON_CreateObject();
}

static cJSON *place_of(const cJSON *of) {
    cJSON *place = with(cJSON_CreateObject(), "topic", copy_of(of, "topic"));
    return with(place, "partition", copy_of(of, "partition"));
}

/* A partition, and where to begin: an offset, `earliest`, `latest`. */
static cJSON *start_of(const cJSON *of) {
    const cJSON *offset = member(of, "offset");
    cJSON *start = cJSON_CreateObject();
    if (cJSON_IsNumber(offset)) {
        cJSON_AddStringToObject(start, "kind", "offset");
        add_long(start, "offset", (int64_t)offset->valuedouble);
    } else cJSON_AddStringToObject(start, "kind", offset == NULL ? "committed" : offset->valuestring);
    return with(place_of(of), "start", start);
}

/* Offsets to commit: with 64 bits as text. */
static cJSON *offsets_of(const cJSON *request) {
    const cJSON *one;
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(one, member(request, "offsets")) {
        cJSON *offset = with(place_of(one), "metadata", copy_of(one, "metadata"));
        add_long(offset, "offset", number_of(one, "offset", 0));
        cJSON_AddItemToArray(list, offset);
    }
    return list;
}

static cJSON *send_offsets(const Object *producer, const cJSON *request, cJSON **error) {
    const Object *consumer = named(text_of(request, "consumer"), error);
    if (consumer == NULL) return NULL;
    cJSON *group = invoke(consumer->handle, "consumer.groupMetadata", NULL, error);
    if (group == NULL) return NULL;
    cJSON *commit = with(with(cJSON_CreateObject(), "group", group), "offsets", offsets_of(request));
    return nothing(run(producer->handle, "producer.commitOffsets", commit, error));
}

static cJSON *found_offset(const Object *consumer, const cJSON *request, cJSON *start, cJSON **error) {
    cJSON *places = cJSON_CreateArray();
    cJSON_AddItemToArray(places, with(place_of(request), "start", start));
    return run(consumer->handle, "consumer.offsetsAt", with(cJSON_CreateObject(), "places", places), error);
}

static cJSON *ends(const Object *consumer, const cJSON *request, cJSON **error) {
    static const char *names[2][2] = {{"low", "earliest"}, {"high", "latest"}};
    cJSON *told = cJSON_CreateObject();
    for (int i = 0; i < 2 && *error == NULL; i++) {
        cJSON *start = with(cJSON_CreateObject(), "kind", cJSON_CreateString(names[i][1]));
        cJSON *found = found_offset(consumer, request, start, error);
        add_number(told, names[i][0], member(cJSON_GetArrayItem(found, 0), "offset"));
        cJSON_Delete(found);
    }
    if (*error == NULL) return told;
    cJSON_Delete(told);
    return NULL;
}

static cJSON *committed(const Object *consumer, const cJSON *request, cJSON **error) {
    const cJSON *one;
    cJSON *asked = with(cJSON_CreateObject(), "partitions", copy_of(request, "partitions"));
    cJSON *found = run(consumer->handle, "consumer.committed", asked, error), *list = cJSON_CreateArray();
    cJSON_ArrayForEach(one, found) {
        cJSON *offset = with(place_of(one), "metadata", copy_of(one, "metadata"));
        add_number(offset, "offset", member(one, "offset"));
        cJSON_AddItemToArray(list, offset);
    }
    cJSON_Delete(found);
    return with(cJSON_CreateObject(), "offsets", list);
}

static cJSON *subscribe(Object *consumer, const cJSON *request, cJSON **error) {
    const char *pattern = text_of(request, "pattern");
    cJSON *asked = cJSON_CreateObject();
    cJSON_Delete(consumer->last);
    consumer->last = member(request, "offsets") == NULL ? NULL : with(cJSON_CreateObject(), "offsets", offsets_of(request));
    if (pattern != NULL) {
        pthread_mutex_lock(&lock);
        consumer->has_pattern = regcomp(&consumer->pattern, pattern, REG_EXTENDED | REG_NOSUB) == 0;
        pthread_mutex_unlock(&lock);
        cJSON *meant = with(cJSON_CreateObject(), "source", cJSON_CreateString(pattern));
        with(asked, "pattern", with(meant, "ignoreCase", cJSON_CreateFalse()));
    }
    with(asked, "topics", pattern == NULL ? copy_of(request, "topics") : cJSON_CreateArray());
    return nothing(invoke(consumer->handle, "consumer.subscribe", asked, error));
}

static cJSON *assign(const Object *consumer, const cJSON *request, cJSON **error) {
    const cJSON *one;
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(one, member(request, "partitions")) cJSON_AddItemToArray(list, start_of(one));
    return nothing(invoke(consumer->handle, "consumer.assign", with(cJSON_CreateObject(), "partitions", list), error));
}

static cJSON *act_consumer(Object *of, const char *what, const cJSON *request, cJSON **error) {
    uint32_t handle = of->handle;
    if (strcmp(what, "consume") == 0) return consume(of, request, error);
    if (strcmp(what, "subscribe") == 0) return subscribe(of, request, error);
    if (strcmp(what, "assign") == 0) return assign(of, request, error);
    if (strcmp(what, "unsubscribe") == 0) return nothing(run_asked(of, "consumer.unsubscribe", NULL, error));
    if (strcmp(what, "seek") == 0)
        return nothing(invoke(handle, "consumer.seek", with(cJSON_CreateObject(), "to", start_of(request)), error));
    if (strcmp(what, "pause") == 0 || strcmp(what, "resume") == 0) {
        cJSON *asked = with(cJSON_CreateObject(), "partitions", copy_of(request, "partitions"));
        return nothing(invoke(handle, *what == 'p' ? "consumer.pause" : "consumer.resume", asked, error));
    }
    if (strcmp(what, "assignment") == 0) {
        cJSON *list = invoke(handle, "consumer.assignment", NULL, error);
        return list == NULL ? NULL : with(cJSON_CreateObject(), "partitions", list);
    }
    if (strcmp(what, "position") == 0 || strcmp(what, "offsetAt") == 0) {
        cJSON *told = cJSON_CreateObject(), *found, *start = cJSON_CreateObject();
        bool at = *what == 'o';
        if (at) {
            cJSON_AddStringToObject(start, "kind", "timestamp");
            add_long(start, "timestamp", number_of(request, "timestamp", 0));
            found = found_offset(of, request, start, error);
        } else {
            cJSON_Delete(start);
            found = invoke(handle, "consumer.position", place_of(request), error);
        }
        add_number(told, "offset", at ? member(cJSON_GetArrayItem(found, 0), "offset") : found);
        cJSON_Delete(found);
        return told;
    }
    if (strcmp(what, "commit") == 0) {
        cJSON *asked = cJSON_CreateObject();
        if (member(request, "offsets") != NULL) with(asked, "offsets", offsets_of(request));
        return nothing(run(handle, "consumer.commit", asked, error));
    }
    if (strcmp(what, "committed") == 0) return committed(of, request, error);
    if (strcmp(what, "ends") == 0) return ends(of, request, error);
    if (strcmp(what, "events") == 0) {
        pthread_mutex_lock(&lock);
        cJSON *told = with(cJSON_CreateObject(), "events", of->events);
        of->events = cJSON_CreateArray();
        pthread_mutex_unlock(&lock);
        return told;
    }
    *error = failure("NOT_OFFERED", NULL);
    return NULL;
}
