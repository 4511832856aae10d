// Hostile clients: all that a client sends is the input (its first byte: in pieces of how many bytes).
#include "block/driver.hpp"
#include "block/nbd/pipe.hpp"
#include "block/nbd/server.hpp"
#include "block/protocols/memory.hpp"

using namespace mimic;
using namespace mimic::block;

// One loop for all inputs: its epoll is no part of what is tested.
static io::Loop& the_loop() {
    static auto instance = std::move(*io::Loop::create({.uring = false}));
    return *instance;
}

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size < 1) return 0;
    Context context{.loop = the_loop()};
    auto image = std::make_shared<MemoryImage>();
    image->size = 1u << 20;
    NodePtr node = make_memory_node(context, image, false);
    nbd::Server server(the_loop());
    auto added = server.add(
        {.name = "", .disk = *Root::attach(node, "export", 0, perm::all), .writable = true, .allocation_depth = true});
    std::move(added).ignore();
    std::vector<u8> script(data + 1, data + size);
    auto peer = std::make_unique<nbd::ScriptedPeer>(the_loop(), std::move(script), size_t(data[0]) + 1);
    the_loop().run(server.serve(std::move(peer)));
    // What is past the end stays so.
    MIMIC_CHECK(image->size == 1u << 20, "a client changes no size");
    return 0;
}
