/* Part of driver.c: administration. Requests and responses have nearly the form of the protocol already. */

/* A request with copies of these members of another. */
static cJSON *copied(const cJSON *from, int count, const char *const *names) {
    cJSON *request = cJSON_CreateObject();
    for (int i = 0; i < count; i++) with(request, names[i], copy_of(from, names[i]));
    return request;
}
#define COPIED(from, ...)                                                                                              \
    copied(from, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static cJSON *only(const char *name, cJSON *item) {
    cJSON *list = cJSON_CreateArray();
    cJSON_AddItemToArray(list, item);
    return with(cJSON_CreateObject(), name, list);
}

/* The one element of a response, whose own error is the call's. It takes the response. */
static cJSON *the_one(cJSON *response, cJSON **error) {
    cJSON *one = cJSON_DetachItemFromArray(response, 0);
    cJSON_Delete(response);
    if (member(one, "error") == NULL) return one;
    *error = copy_of(one, "error");
    cJSON_Delete(one);
    return NULL;
}

/* This member of each element. It takes the response. */
static cJSON *each(cJSON *response, const char *name) {
    const cJSON *one;
    cJSON *list = cJSON_CreateArray();
    cJSON_ArrayForEach(one, response) cJSON_AddItemToArray(list, copy_of(one, name));
    cJSON_Delete(response);
    return list;
}

static cJSON *describe_topics(uint32_t admin, const cJSON *request, cJSON **error) {
    const cJSON *one;
    cJSON *list = cJSON_CreateArray(), *found = run(admin, "admin.describeTopics", COPIED(request, "topics"), error);
    cJSON_ArrayForEach(one, found) {
        cJSON *topic = with(cJSON_CreateObject(), "topic", copy_of(one, "topic"));
        cJSON_AddNumberToObject(topic, "partitions", cJSON_GetArraySize(member(one, "partitions")));
        cJSON_AddItemToArray(list, topic);
    }
    cJSON_Delete(found);
    return with(cJSON_CreateObject(), "topics", list);
}

static cJSON *describe_configs(uint32_t admin, const cJSON *request, cJSON **error) {
    const cJSON *one;
    cJSON *configs = cJSON_CreateObject(), *asked = only("resources", COPIED(request, "type", "name"));
    cJSON *found = the_one(run(admin, "admin.describeConfigs", asked, error), error);
    cJSON_ArrayForEach(one, member(found, "configs")) with(configs, text_of(one, "name"), COPIED(one, "value", "source"));
    cJSON_Delete(found);
    return with(cJSON_CreateObject(), "configs", configs);
}

static cJSON *describe_cluster(uint32_t admin, cJSON **error) {
    cJSON *found = run(admin, "admin.describeCluster", NULL, error);
    cJSON *told = COPIED(found, "clusterId", "controller");
    with(told, "brokers", each(copy_of(found, "brokers"), "id"));
    cJSON_Delete(found);
    return told;
}

static cJSON *describe_group(uint32_t admin, const cJSON *request, cJSON **error) {
    cJSON *found = the_one(run(admin, "admin.describeGroups", only("groups", copy_of(request, "group")), error), error);
    cJSON *told = COPIED(found, "state");
    cJSON_AddNumberToObject(told, "members", cJSON_GetArraySize(member(found, "members")));
    cJSON_Delete(found);
    return told;
}

static cJSON *group_offsets(uint32_t admin, const cJSON *request, cJSON **error) {
    cJSON *asked = only("groups", with(cJSON_CreateObject(), "groupId", copy_of(request, "group")));
    cJSON *found = the_one(run(admin, "admin.listConsumerGroupOffsets", asked, error), error);
    cJSON *told = COPIED(found, "offsets");
    cJSON_Delete(found);
    return told;
}

static cJSON *delete_records(uint32_t admin, const cJSON *request, cJSON **error) {
    cJSON *before = COPIED(request, "topic", "partition"), *told = cJSON_CreateObject();
    add_long(before, "beforeOffset", number_of(request, "offset", 0));
    cJSON *found = run(admin, "admin.deleteRecords", only("partitions", before), error);
    add_number(told, "low", member(cJSON_GetArrayItem(found, 0), "lowWatermark"));
    cJSON_Delete(found);
    return told;
}

/* What a quota is of: [{type, name}]. */
static cJSON *entity_of(const cJSON *request) {
    const cJSON *one;
    cJSON *entity = cJSON_CreateArray();
    cJSON_ArrayForEach(one, member(request, "entity")) {
        cJSON *part = with(cJSON_CreateObject(), "type", cJSON_CreateString(one->string));
        cJSON_AddItemToArray(entity, with(part, "name", cJSON_CreateString(one->valuestring)));
    }
    return entity;
}

static cJSON *alter_quota(uint32_t admin, const cJSON *request, cJSON **error) {
    cJSON *change = with(cJSON_CreateObject(), "entity", entity_of(request));
    if (member(request, "value") == NULL) {
        cJSON *names = only("remove", copy_of(request, "name"));
        with(change, "remove", cJSON_DetachItemFromObject(names, "remove"));
        cJSON_Delete(names);
    } else with(change, "set", with(cJSON_CreateObject(), text_of(request, "name"), copy_of(request, "value")));
    return nothing(run(admin, "admin.alterClientQuotas", only("changes", change), error));
}

static cJSON *describe_quota(uint32_t admin, const cJSON *request, cJSON **error) {
    const cJSON *one;
    cJSON *values = cJSON_CreateObject(), *asked = with(cJSON_CreateObject(), "filters", entity_of(request));
    cJSON *found = run(admin, "admin.describeClientQuotas", asked, error);
    cJSON_ArrayForEach(one, member(cJSON_GetArrayItem(found, 0), "quotas")) with(values, text_of(one, "name"), copy_of(one, "value"));
    cJSON_Delete(found);
    return with(cJSON_CreateObject(), "values", values);
}

static cJSON *describe_scram(uint32_t admin, const cJSON *request, cJSON **error) {
    cJSON *found = the_one(run(admin, "admin.describeUserScramCredentials", only("users", copy_of(request, "user")), error), error);
    cJSON *told = COPIED(found, "credentials");
    cJSON_Delete(found);
    return told;
}

static cJSON *act_admin(uint32_t admin, const char *what, const cJSON *request, cJSON **error) {
    if (strcmp(what, "createTopics") == 0)
        return nothing(run(admin, "admin.createTopics", COPIED(request, "topics", "validateOnly"), error));
    if (strcmp(what, "deleteTopics") == 0) return nothing(run(admin, "admin.deleteTopics", COPIED(request, "topics"), error));
    if (strcmp(what, "createPartitions") == 0)
        return nothing(run(admin, "admin.createPartitions", only("topics", COPIED(request, "topic", "count")), error));
    if (strcmp(what, "listTopics") == 0)
        return with(cJSON_CreateObject(), "topics", each(run(admin, "admin.listTopics", NULL, error), "topic"));
    if (strcmp(what, "describeTopics") == 0) return describe_topics(admin, request, error);
    if (strcmp(what, "describeConfigs") == 0) return describe_configs(admin, request, error);
    if (strcmp(what, "alterConfigs") == 0) {
        cJSON *changes = with(COPIED(request, "type", "name"), "configs", copy_of(request, "changes"));
        return nothing(run(admin, "admin.incrementalAlterConfigs", only("resources", changes), error));
    }
    if (strcmp(what, "describeCluster") == 0) return describe_cluster(admin, error);
    if (strcmp(what, "describeGroup") == 0) return describe_group(admin, request, error);
    if (strcmp(what, "listGroups") == 0)
        return with(cJSON_CreateObject(), "groups", each(run(admin, "admin.listGroups", NULL, error), "groupId"));
    if (strcmp(what, "deleteGroups") == 0) return nothing(run(admin, "admin.deleteGroups", COPIED(request, "groups"), error));
    if (strcmp(what, "groupOffsets") == 0) return group_offsets(admin, request, error);
    if (strcmp(what, "alterGroupOffsets") == 0) {
        cJSON *offsets = with(COPIED(request, "offsets"), "groupId", copy_of(request, "group"));
        return nothing(run(admin, "admin.alterConsumerGroupOffsets", offsets, error));
    }
    if (strcmp(what, "deleteRecords") == 0) return delete_records(admin, request, error);
    if (strcmp(what, "createAcls") == 0) return nothing(run(admin, "admin.createAcls", COPIED(request, "acls"), error));
    if (strcmp(what, "describeAcls") == 0)
        return with(cJSON_CreateObject(), "acls", run(admin, "admin.describeAcls", COPIED(request, "filter"), error));
    if (strcmp(what, "deleteAcls") == 0)
        return with(cJSON_CreateObject(), "acls", run(admin, "admin.deleteAcls", only("filters", copy_of(request, "filter")), error));
    if (strcmp(what, "alterQuota") == 0) return alter_quota(admin, request, error);
    if (strcmp(what, "describeQuota") == 0) return describe_quota(admin, request, error);
    if (strcmp(what, "alterScram") == 0) {
        cJSON *change = COPIED(request, "user", "mechanism", "iterations", "password", "salt");
        return nothing(run(admin, "admin.alterUserScramCredentials", only("changes", change), error));
    }
    if (strcmp(what, "describeScram") == 0) return describe_scram(admin, request, error);
    *error = failure("NOT_OFFERED", NULL);
    return NULL;
}
