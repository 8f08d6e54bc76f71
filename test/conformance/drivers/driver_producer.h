/* Part of driver.c: sending, and what the engine has to say. */

static Waiting **bucket(uint32_t producer, uint32_t group, uint32_t index) {
    return &waiting[(producer * 2654435761u ^ group * 40503u ^ index) % 4096];
}

/* The engine tells of records: under the lock. */
static void delivered(const dohle_entry *entry) {
    static const char *persistences[] = {"not-persisted", "possibly-persisted", "persisted"};
    for (uint32_t i = 0; i < entry->count; i++) {
        Waiting **at = bucket(entry->handle, entry->id, entry->index + i);
        while (*at != NULL && !((*at)->producer == entry->handle && (*at)->group == entry->id && (*at)->index == entry->index + i))
            at = &(*at)->next;
        Waiting *found = *at;
        if (found == NULL) continue;
        *at = found->next;
        Fate *fate = found->fate;
        fate->partition = entry->partition;
        fate->offset = entry->base_offset < 0 ? -1 : entry->base_offset + i;
        if (entry->text != NULL) {
            fate->error = cJSON_Parse(entry->text);
            if (member(fate->error, "persistence") == NULL)
                cJSON_AddStringToObject(fate->error, "persistence", persistences[entry->persistence]);
        }
        fate->done = true;
        free(found);
    }
}

/* A pattern of topics means what C says that it means. */
static void match(const dohle_entry *entry) {
    cJSON *question = cJSON_Parse(entry->text), *names = cJSON_CreateArray(), *error = NULL;
    const cJSON *name;
    cJSON_ArrayForEach(name, member(member(question, "request"), "topics")) {
        for (Object *one = objects; one != NULL; one = one->next)
            if (one->handle == entry->handle && one->has_pattern && regexec(&one->pattern, name->valuestring, 0, NULL, 0) == 0)
                cJSON_AddItemToArray(names, cJSON_CreateString(name->valuestring));
    }
    char *list = cJSON_PrintUnformatted(names);
    cJSON *answer = with(cJSON_CreateObject(), "id", copy_of(question, "id"));
    cJSON_Delete(invoke(0, "environment.answer", with(answer, "answer", cJSON_CreateString(list)), &error));
    cJSON_Delete(error);
    free(list);
    cJSON_Delete(names);
    cJSON_Delete(question);
}

static void happened(const dohle_entry *entry) {
    cJSON *event = cJSON_Parse(entry->text);
    for (Object *one = objects; one != NULL; one = one->next) {
        if (one->handle != entry->handle || strcmp(text_of(event, "name"), "lost") != 0) continue;
        cJSON *lost = with(cJSON_CreateObject(), "event", cJSON_CreateString("lost"));
        cJSON_AddItemToArray(one->events, with(lost, "partitions", copy_of(event, "partitions")));
    }
    cJSON_Delete(event);
}

/* Takes what the engine has to say, until the environment is closed. */
static void *drain(void *none) {
    while (dohle_wait(environment, -1, NULL) == 1) {
        dohle_entry entries[64];
        int32_t count = dohle_drain(environment, entries, 64, sizeof entries[0], NULL);
        pthread_mutex_lock(&lock);
        for (int32_t i = 0; i < count; i++) {
            if (entries[i].kind == 1) delivered(&entries[i]);
            else if (entries[i].kind == 5) match(&entries[i]);
            else if (entries[i].kind == 6) happened(&entries[i]);
            dohle_text_free(entries[i].text);
        }
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return none;
}

/* A little while, or until the engine says something. The lock is held. */
static void pause_a_little(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50 * 1000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&changed, &lock, &until);
}

/* Gives one record to the engine, as soon as there is memory for it. */
static void give(const Object *producer, const cJSON *spec, Fate *fate) {
    const cJSON *headers = member(spec, "headers"), *pair;
    Bytes key = bytes_of(member(spec, "key")), value = bytes_of(member(spec, "value"));
    size_t count = (size_t)cJSON_GetArraySize(headers), size = key.length + value.length + 64, at = 0, end = 0;
    dohle_header *pairs = calloc(count + 1, sizeof *pairs);
    cJSON_ArrayForEach(pair, headers) {
        Bytes content = bytes_of(cJSON_GetArrayItem(pair, 1));
        const char *name = cJSON_GetArrayItem(pair, 0)->valuestring;
        pairs[at++] = (dohle_header){name, strlen(name), content.bytes, content.length};
        size += strlen(name) + content.length + 12;
    }
    uint32_t topic = 0, answer[2];
    dohle_error *error = NULL;
    uint8_t *arena = malloc(size);
    if (dohle_topic(environment, producer->handle, text_of(spec, "topic"), &topic, &error) >= 0) {
        dohle_record record = {.size = sizeof record, .topic = topic, .partition = (int32_t)number_of(spec, "partition", -1),
                               .header_count = (uint32_t)count, .timestamp = number_of(spec, "timestamp", -1), .key = key.bytes,
                               .key_length = key.length, .value = value.bytes, .value_length = value.length, .headers = pairs};
        dohle_arena_write(arena, size, &end, &record, &error);
    }
    pthread_mutex_lock(&lock);
    while (error == NULL) {
        dohle_appended appended = {.size = sizeof appended};
        dohle_append(environment, producer->handle, arena, 0, end, answer, 1, &appended, &error);
        if (error != NULL) break;
        if (appended.count == 1) {
            Waiting **list = bucket(producer->handle, answer[0], answer[1]), *one = malloc(sizeof *one);
            *one = (Waiting){*list, producer->handle, answer[0], answer[1], fate};
            *list = one;
            break;
        }
        pause_a_little();
    }
    pthread_mutex_unlock(&lock);
    if (error != NULL) {
        *fate = (Fate){.done = true, .error = told(error)};
        if (member(fate->error, "persistence") == NULL) cJSON_AddStringToObject(fate->error, "persistence", "not-persisted");
    }
    for (size_t i = 0; i < count; i++) free((void *)pairs[i].value);
    free(pairs);
    free(arena);
    free(key.bytes);
    free(value.bytes);
}

static cJSON *produce(const cJSON *request, cJSON **error) {
    const Object *producer = named(text_of(request, "of"), error);
    if (producer == NULL) return NULL;
    const cJSON *records = member(request, "records"), *record;
    size_t times = (size_t)number_of(request, "times", 1), total = times * (size_t)cJSON_GetArraySize(records), at = 0;
    Fate *fates = calloc(total + 1, sizeof *fates);
    for (size_t round = 0; round < times; round++)
        cJSON_ArrayForEach(record, records) give(producer, record, &fates[at++]);
    cJSON *list = cJSON_CreateArray(), *told = cJSON_CreateObject();
    size_t acknowledged = 0;
    bool brief = member(request, "times") != NULL;
    for (at = 0; at < total; at++) {
        Fate *fate = &fates[at];
        pthread_mutex_lock(&lock);
        while (!fate->done) pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
        acknowledged += fate->error == NULL;
        if (brief) {
            if (fate->error != NULL && cJSON_GetArraySize(list) < 3) cJSON_AddItemToArray(list, fate->error);
            else cJSON_Delete(fate->error);
            continue;
        }
        cJSON *place = cJSON_CreateObject();
        if (fate->error != NULL) with(place, "error", fate->error);
        else {
            cJSON_AddNumberToObject(place, "partition", fate->partition);
            cJSON_AddNumberToObject(place, "offset", (double)fate->offset);
        }
        cJSON_AddItemToArray(list, place);
    }
    free(fates);
    if (brief) cJSON_AddNumberToObject(told, "count", (double)acknowledged);
    return with(told, brief ? "errors" : "results", list);
}

