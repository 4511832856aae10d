#include "block/graph.hpp"
#include "block/jobs/disk_jobs.hpp"
#include "block/protocols/memory.hpp"
#include <gtest/gtest.h>

namespace mimic::block {
namespace {

struct Bench {
    std::unique_ptr<io::Loop> loop = *io::Loop::create({.uring = false});
    Context context{.loop = *loop};
    NodePtr disk(u8 value, u64 size = 1 << 20) {
        auto image = std::make_shared<MemoryImage>();
        image->size = size;
        std::vector<u8> bytes(size, value);
        image->write(0, IoVec(std::span<u8>(bytes)));
        return make_memory_node(context, image);
    }
    u8 first_byte(Root& root) {
        u8 byte = 0;
        IoVec memory(&byte, 1);
        EXPECT_TRUE(loop->run(root.read(0, memory)));
        return byte;
    }
};

TEST(Graph, RequestsWaitWhileASectionIsDrainedAndGoToTheNewNode) {
    Bench b;
    NodePtr one = b.disk(1), two = b.disk(2);
    auto root = *Root::attach(one, "disk", perm::consistent_read, perm::all);
    u8 byte = 0;
    IoVec memory(&byte, 1);
    bool ended = false;
    auto reader = [&]() -> Task<Result<void>> {
        Result<void> r = co_await root->read(0, memory);
        ended = true;
        co_return r;
    };
    auto section = [&]() -> Task<Result<void>> {
        Drained quiet = co_await drain(*one);
        io::spawn(reader(), [](const Error&) { ADD_FAILURE(); });
        for (int i = 0; i < 5; i++) co_await b.loop->yield();
        EXPECT_FALSE(ended);
        EXPECT_TRUE(replace_node(*one, two));
        quiet.end();
        for (int i = 0; i < 5; i++) co_await b.loop->yield();
        co_return Result<void>();
    };
    EXPECT_TRUE(b.loop->run(section()));
    EXPECT_TRUE(ended);
    EXPECT_EQ(byte, 2);
    EXPECT_EQ(&root->node(), two.get());
    EXPECT_TRUE(one->parents().empty());
}

TEST(Graph, WhatPermissionsForbidChangesNothing) {
    Bench b;
    NodePtr one = b.disk(1), two = b.disk(2);
    auto writer = *Root::attach(one, "writer", perm::write, perm::consistent_read);
    auto reader = *Root::attach(one, "reader", perm::consistent_read, perm::all);
    auto other = *Root::attach(two, "other", perm::consistent_read, perm::consistent_read);
    auto r = replace_node(*one, two);
    ASSERT_FALSE(r);
    EXPECT_NE(r.error().message().find("'other'"), std::string::npos) << r.error().message();
    EXPECT_EQ(&writer->node(), one.get());
    EXPECT_EQ(&reader->node(), one.get());
    EXPECT_EQ(one->parents().size(), 2u);
    EXPECT_EQ(two->parents().size(), 1u);
}

TEST(Graph, RootsThatStayAreNotMoved) {
    Bench b;
    NodePtr one = b.disk(1), two = b.disk(2);
    auto job = *Root::attach(one, "job", 0, perm::all, true);
    auto guest = *Root::attach(one, "guest", 0, perm::all);
    ASSERT_TRUE(replace_node(*one, two));
    EXPECT_EQ(b.first_byte(*job), 1);
    EXPECT_EQ(b.first_byte(*guest), 2);
}

// What the manual's table of verbs forbids is refused by name.
TEST(Jobs, VerbsDependOnTheState) {
    Bench b;
    Jobs jobs(b.context);
    std::string events;
    jobs.on_event = [&](std::string_view name, const Json& data) {
        const Json* status = data.find("status");
        events += status ? *status->string() + " " : std::string(name) + " ";
    };
    MirrorOptions o;
    o.id = "m";
    o.node = b.disk(1);
    o.target = b.disk(2);
    auto guest = *Root::attach(o.node, "guest", 0, perm::all);
    NodePtr target = o.target;
    auto made = b.loop->run(make_mirror(jobs, std::move(o)));
    ASSERT_TRUE(made);
    JobPtr job = *made;
    job->start();
    EXPECT_EQ(job->complete().error().message(), "Job 'm' in state 'running' cannot accept command verb 'complete'");
    EXPECT_EQ(job->resume().error().message(), "Can't resume a job that was not paused");
    b.loop->run_until([&] { return job->ready(); });
    EXPECT_EQ(job->dismiss().error().message(), "Job 'm' in state 'ready' cannot accept command verb 'dismiss'");
    ASSERT_TRUE(job->pause());
    b.loop->run_until([&] { return job->status() == JobStatus::standby; });
    ASSERT_TRUE(job->resume());
    b.loop->run_until([&] { return job->status() == JobStatus::ready; });
    ASSERT_TRUE(job->complete());
    b.loop->run_until([&] { return jobs.all().empty(); });
    b.loop->run(jobs.shut_down());
    EXPECT_EQ(
        events,
        "created running ready BLOCK_JOB_READY standby ready waiting pending BLOCK_JOB_COMPLETED concluded null ");
    EXPECT_EQ(&guest->node(), target.get());
    EXPECT_EQ(b.first_byte(*guest), 1);
}

} // namespace
} // namespace mimic::block
