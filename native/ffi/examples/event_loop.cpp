// Sends records from an event loop, reads them in a group with a listener, and turns failures into exceptions: C++17 over dohle.h.
//
//   c++ -std=c++17 -Wall event_loop.cpp $(pkg-config --cflags --libs dohle) -o event_loop
//   ./event_loop [localhost:9092 [topic]]
#include <dohle.h>
#include <poll.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace dohle {

/// A failure, by Kafka's name.
class Error : public std::runtime_error {
public:
    explicit Error(dohle_error *error)
        : std::runtime_error(std::string(dohle_error_code(error)) + ": " + dohle_error_message(error)),
          code(dohle_error_code(error)), retriable(dohle_error_retriable(error)) {
        dohle_error_free(error);
    }
    std::string code;
    bool retriable;
};

/// Calls a function of dohle.h whose last argument is the error; throws, or returns its status.
template <typename Function, typename... Arguments> int32_t call(Function function, Arguments... arguments) {
    dohle_error *error = nullptr;
    int32_t status = function(arguments..., &error);
    if (error != nullptr) throw Error(error);
    return status;
}

struct FreeText { void operator()(char *text) const { dohle_text_free(text); } };
struct FreeOperation { void operator()(dohle_operation *operation) const { dohle_operation_free(operation); } };
struct FreeEnvironment { void operator()(dohle_environment *environment) const { dohle_environment_free(environment); } };
using Text = std::unique_ptr<char, FreeText>;
using Operation = std::unique_ptr<dohle_operation, FreeOperation>;

class Environment {
public:
    Environment() {
        dohle_environment *made = nullptr;
        call(dohle_environment_new, &made);
        environment_.reset(made);
    }
    const dohle_environment *get() const { return environment_.get(); }

    uint32_t open(const char *kind, uint32_t parent, const std::string &options) const {
        uint32_t handle = 0;
        call(dohle_open, get(), kind, parent, options.c_str(), &handle);
        return handle;
    }
    void invoke(uint32_t handle, const char *operation, const std::string &request) const {
        call(dohle_invoke, get(), handle, operation, request.c_str(), static_cast<char **>(nullptr));
    }
    Operation start(uint32_t handle, const char *operation, const std::string &request = "{}") const {
        dohle_operation *started = nullptr;
        call(dohle_start, get(), handle, operation, request.c_str(), static_cast<const uint8_t *>(nullptr), size_t{0}, &started);
        return Operation(started);
    }
    std::string run(uint32_t handle, const char *operation, const std::string &request = "{}") const {
        return wait(start(handle, operation, request));
    }
    static std::string wait(const Operation &operation) {
        char *response = nullptr;
        call(dohle_operation_wait, static_cast<const dohle_operation *>(operation.get()), int64_t{-1}, &response);
        return Text(response).get();
    }

private:
    std::unique_ptr<dohle_environment, FreeEnvironment> environment_;
};

/// Records of a partition; freed with it.
class Chunk {
public:
    Chunk() { chunk.size = sizeof chunk; }
    ~Chunk() {
        dohle_progress_free(chunk.progress);
        dohle_chunk_free(&chunk);
    }
    Chunk(const Chunk &) = delete;
    Chunk &operator=(const Chunk &) = delete;
    dohle_chunk chunk{};
};

} // namespace dohle

static std::string member(const std::string &json, const std::string &name) {
    auto at = json.find("\"" + name + "\":");
    if (at == std::string::npos) return "";
    at += name.size() + 3;
    if (json[at] == '"') at++;
    return json.substr(at, json.find_first_of("\",}", at) - at);
}

constexpr size_t records = 5000;

/// Waits with poll(2) for the engine, as a program with other descriptors would.
static void produce(const dohle::Environment &environment, uint32_t client, const std::string &name) {
    uint32_t producer = environment.open("producer", client, "{}"), topic = 0;
    dohle::call(dohle_topic, environment.get(), producer, name.c_str(), &topic);
    std::vector<uint8_t> arena(1 << 20);
    std::vector<uint32_t> answers(2 * records);
    size_t end = 0;
    for (size_t i = 0; i < records; i++) {
        std::string value = "value " + std::to_string(i);
        dohle_record record{};
        record.size = sizeof record;
        record.topic = topic;
        record.partition = -1;
        record.timestamp = -1;
        record.value = reinterpret_cast<const uint8_t *>(value.data());
        record.value_length = value.size();
        if (dohle::call(dohle_arena_write, arena.data(), arena.size(), &end, &record) == 0) throw std::runtime_error("no room");
    }
    dohle_appended appended{};
    appended.size = sizeof appended;
    dohle::call(dohle_append, environment.get(), producer, arena.data(), size_t{0}, end, answers.data(), records, &appended);
    pollfd descriptor{dohle::call(dohle_wake_fd, environment.get()), POLLIN, 0};
    for (size_t acknowledged = 0; acknowledged < records;) {
        poll(&descriptor, 1, -1);
        dohle_entry entries[32];
        int32_t count = dohle::call(dohle_drain, environment.get(), entries, size_t{32}, sizeof entries[0]);
        for (int32_t i = 0; i < count; i++) {
            dohle::Text text(entries[i].text);
            if (entries[i].kind != 1) continue;
            if (text) throw std::runtime_error(std::string("not delivered: ") + text.get());
            acknowledged += entries[i].count;
        }
    }
    environment.run(producer, "producer.close");
    std::printf("%zu records acknowledged\n", records);
}

/// Tells of a question of the group, and answers it.
static void listen(const dohle::Environment &environment, char *question) {
    std::string text = dohle::Text(question).get();
    std::printf("listener: %s\n", member(text, "name").c_str());
    environment.invoke(0, "environment.answer", "{\"id\":\"" + member(text, "id") + "\"}");
}

static void consume(const dohle::Environment &environment, uint32_t client, const std::string &topic) {
    uint32_t consumer = environment.open("listening consumer", client,
                                         "{\"groupId\":\"example-cpp\",\"autoOffsetReset\":\"earliest\"}");
    environment.invoke(consumer, "consumer.subscribe", "{\"topics\":[\"" + topic + "\"]}");
    size_t count = 0;
    while (count < records) {
        dohle::Chunk next;
        char *question = nullptr;
        switch (dohle::call(dohle_poll, environment.get(), consumer, int64_t{1000}, &next.chunk, &question)) {
        case 1:
            count += next.chunk.count;
            dohle_progress_set(next.chunk.progress, next.chunk.count, next.chunk.count);
            break;
        case 3: listen(environment, question); break;
        }
    }
    // The listener is asked while the consumer leaves its group.
    auto closing = environment.start(consumer, "consumer.close");
    try {
        for (;;) {
            char *question = nullptr;
            if (dohle::call(dohle_question, environment.get(), consumer, int64_t{-1}, &question) == 3) listen(environment, question);
        }
    } catch (const dohle::Error &error) {
        if (error.code != "CLOSED") throw;
    }
    dohle::Environment::wait(closing);
    std::printf("%zu records read\n", count);
}

int main(int argc, char **argv) try {
    dohle::Environment environment;
    uint32_t broker = 0;
    std::string brokers = argc > 1 ? argv[1] : "";
    if (brokers.empty()) {
        std::string running = environment.run(0, "environment.startBroker");
        brokers = member(running, "address");
        broker = static_cast<uint32_t>(std::stoul(member(running, "handle")));
    }
    std::string topic = argc > 2 ? argv[2] : "example-cpp";
    uint32_t client = environment.open("client", 0, "{\"brokers\":[\"" + brokers + "\"]}");
    try {
        environment.run(client, "admin.createTopics", "{\"topics\":[{\"name\":\"not a name!\"}]}");
    } catch (const dohle::Error &error) {
        std::printf("refused: %s\n", error.code.c_str());
    }
    produce(environment, client, topic);
    consume(environment, client, topic);
    environment.run(client, "client.close");
    if (broker != 0) environment.run(broker, "broker.stop");
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
