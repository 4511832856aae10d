// Memory through the TLB: registers for addresses when few are free.
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "jit/tlb_test_support.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::jit {
namespace {

// x1 is its stack pointer.
const ir::GuestState guest = [] {
    ir::GuestState g = ir::test::aarch64;
    g.stack = 1;
    return g;
}();

// Runs a unit over two pages at 0x1000 that a TLB of one entry an index holds; what x7 is then.
class Paged {
public:
    Paged() : backend_(*make_backend(guest, 4)), cache_(*CodeCache::create(1 << 20)) {
        u64 bytes = ir::slots_offset + ir::test::state_bytes + backend_->host_area();
        state_ = new (std::align_val_t{64}) u8[bytes]();
        *header() = {};
        u8* code = cache_.code();
        EXPECT_TRUE(backend_->emit_shared(code, cache_.writable(code), u32(CodeCache::head_bytes)));
        backend_->init(header());
        entry_ = {.read = 0x1000, .write = 0x1000, .host = u64(page_)};
        TlbViews& views = *backend_->tlb_views(header());
        views.index[1] = {u64(&entry_), 0};
        views.forget_recent(1);
    }
    ~Paged() { ::operator delete[](state_, std::align_val_t{64}); }
    Paged(const Paged&) = delete;

    // In memory: "x7", "count" and "out_i64".
    void set(std::string_view slot, u64 v) { std::memcpy(at(slot), &v, 8); }
    u64 get(std::string_view slot) {
        u64 v;
        std::memcpy(&v, at(slot), 8);
        return v;
    }
    u64 word(u32 offset) const {
        u64 v;
        std::memcpy(&v, page_ + offset, 8);
        return v;
    }
    TlbViews& views() { return *backend_->tlb_views(header()); }
    u64 page() const { return u64(page_); }
    // False: the back end refused.
    bool run(const std::string& code) {
        auto unit = ir::parse(
            "unit pc 0x100 flavour 0x80\nb0 entry pc 0x100:\n  insn 0x100 4\n" + code + "  exit 0x104\n", guest);
        if (!unit) {
            ADD_FAILURE() << unit.error().message();
            return false;
        }
        analysis_.run(*unit, guest, backend_->plan());
        u64 room = 0;
        u8* to = *cache_.room(room);
        if (!backend_->emit(*unit, analysis_, AddressModel::tlb, to, cache_.writable(to), room, cache_.links(),
                            emitted_))
            return false;
        cache_.commit(emitted_.bytes);
        for (u32 n = 0; n < emitted_.edges.size(); ++n) cache_.links()[n] = u64(to + emitted_.edges[n].stub);
        backend_->enter(header(), to + emitted_.entries.front().offset);
        return true;
    }

private:
    ir::CpuHeader* header() { return reinterpret_cast<ir::CpuHeader*>(state_); }
    u8* at(std::string_view name) {
        for (const ir::Slot& s : ir::test::slots)
            if (s.name == name) return state_ + ir::slots_offset + s.offset;
        return nullptr;
    }
    std::unique_ptr<Backend> backend_;
    CodeCache cache_;
    Analysis analysis_;
    Emitted emitted_;
    TlbEntry entry_;
    alignas(4096) u8 page_[4096] = {};
    u8* state_ = nullptr;
};

// What is stored and both parts of the address are in memory: three registers, and the sum would be a fourth.
TEST(Tlb, AStoreWhoseValueAndAddressHaveNoRegisters) {
    Paged p;
    p.set("x7", 0x1000);
    p.set("count", 0x20);
    p.set("out_i64", 0x123456789abcdef0);
    ASSERT_TRUE(p.run("%1 = get i64 x7\n%2 = get i64 count\n%3 = get i64 out_i64\n%4 = add i64 %1, %2\n"
                      "store [%4 + 8], %3 i64 index 1\n"));
    EXPECT_EQ(p.word(0x28), 0x123456789abcdef0u);
    ASSERT_TRUE(p.run("%1 = get i64 x7\n%2 = get i64 count\n%3 = get i64 out_i64\n%4 = constant i8 3\n"
                      "%5 = shl i64 %2, %4\n%6 = add i64 %1, %5\n%7 = mul i64 %3, %3\nstore [%6], %7 i64 index 1\n"
                      "%8 = load i64 [%6] i64 index 1\nput x7, %8\n"));
    EXPECT_EQ(p.word(0x100), 0x123456789abcdef0u * 0x123456789abcdef0u);
    EXPECT_EQ(p.get("x7"), p.word(0x100));
}

// The stack's page is copied from the table's entry when it is met, with the rights that were looked at; and any thread takes the
// one to write.
TEST(Tlb, TheRecentPageIsACopy) {
    Paged p;
    const u64 nobody = p.views().nobody;
    const TlbRecent& r = p.views().recent[1][0];
    p.set("x1", 0x1010);
    ASSERT_TRUE(p.run("%1 = get i64 x1\n%2 = load i64 [%1 + 8] i64 index 1\nput x7, %2\n"));
    EXPECT_EQ(r.read, 0x1000u);
    EXPECT_EQ(r.write, nobody);
    EXPECT_EQ(r.delta + 0x1000, p.page());
    p.set("x7", 77);
    const char* store = "%1 = get i64 x1\n%2 = get i64 x7\nstore [%1 + 8], %2 i64 index 1\n";
    ASSERT_TRUE(p.run(store));
    EXPECT_EQ(p.word(0x18), 77u);
    EXPECT_EQ(r.write, 0x1000u);
    p.views().drop_writes(p.page() + 4096);
    EXPECT_EQ(r.write, 0x1000u);
    p.views().drop_writes(p.page());
    EXPECT_EQ(r.write, nobody);
    EXPECT_EQ(r.read, 0x1000u);
    p.set("x7", 78);
    ASSERT_TRUE(p.run(store)); // asks the table again
    EXPECT_EQ(p.word(0x18), 78u);
    EXPECT_EQ(r.write, 0x1000u);
    p.views().forget_recent(1, 0x2000);
    EXPECT_EQ(r.read, 0x1000u);
    p.views().forget_recent(1, 0x1fff);
    EXPECT_EQ(r.read, nobody);
    EXPECT_EQ(r.write, nobody);
    ASSERT_TRUE(p.run(store));
    EXPECT_EQ(r.write, 0x1000u);
    p.views().forget_recent(1, u64{0x5a} << 56 | 0x1008); // with another top byte
    EXPECT_EQ(r.write, nobody);
    p.views().forget_recent(1, nobody); // is no page
    EXPECT_EQ(r.write, nobody);
}

// Accesses of one block by one slot are looked up together.
class Groups : public testing::Test {
protected:
    static constexpr u64 base = PagedMachine::base;
    void set(std::string_view slot, u64 v) { std::memcpy(at(slot), &v, 8); }
    u64 get(std::string_view slot) {
        u64 v;
        std::memcpy(&v, at(slot), 8);
        return v;
    }
    u64 word(u64 address) {
        u64 v;
        std::memcpy(&v, m_.memory() + (address - base), 8);
        return v;
    }
    void run(const std::string& code) {
        auto unit = ir::parse("unit pc 0x100 flavour 0x80\n" + code, guest);
        ASSERT_TRUE(unit) << unit.error().message();
        ASSERT_TRUE(m_.run(*unit));
    }
    PagedMachine m_{guest};

private:
    u8* at(std::string_view name) {
        for (const ir::Slot& s : ir::test::slots)
            if (s.name == name) return ir::home(m_.header(), s);
        return nullptr;
    }
};

// Goes down by 32, stores x6 there and x7 behind it, and loads the first into x5.
constexpr const char* push_two = "b0 entry pc 0x100:\n  insn 0x100 4\n"
                                 "  %1 = get i64 x1\n  %2 = constant i64 -32\n  %3 = add i64 %1, %2\n"
                                 "  %4 = get i64 x6\n  store [%3], %4 i64 index 1\n  put x1, %3\n"
                                 "  insn 0x104 4\n"
                                 "  %5 = get i64 x1\n  %6 = get i64 x7\n  store [%5 + 8], %6 i64 index 1\n"
                                 "  insn 0x108 4\n"
                                 "  %7 = get i64 x1\n  %8 = load i64 [%7] i64 index 1\n  put x5, %8\n"
                                 "  insn 0x10c 4\n  exit 0x110\n";

TEST_F(Groups, OfTheStackAskOnce) {
    set("x1", base + 0x100), set("x6", 6), set("x7", 7);
    run(push_two);
    ASSERT_EQ(m_.analysis().groups.size(), 1u);
    const PageGroup& g = m_.analysis().groups[0];
    EXPECT_EQ(g.low, -32);
    EXPECT_EQ(g.high, -16);
    EXPECT_TRUE(g.write);
    EXPECT_EQ(m_.slow(), 0u);
    EXPECT_EQ(word(base + 0xe0), 6u);
    EXPECT_EQ(word(base + 0xe8), 7u);
    EXPECT_EQ(get("x5"), 6u);
    EXPECT_EQ(get("x1"), base + 0xe0);
    EXPECT_EQ(m_.views().recent[1][0].write, base);
}

TEST_F(Groups, InTwoPagesAreLookedUpOneByOne) {
    set("x1", base + 0x1018), set("x6", 6), set("x7", 7); // 8 bytes in the first page
    run(push_two);
    EXPECT_EQ(m_.slow(), 0u);
    EXPECT_EQ(word(base + 0xff8), 6u);
    EXPECT_EQ(word(base + 0x1000), 7u);
    EXPECT_EQ(get("x5"), 6u);
    m_.set_page(1, Rights::none, Rights::none);
    set("x6", 66), set("x7", 77), set("x1", base + 0x1018);
    run(push_two);
    EXPECT_EQ(m_.header()->exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(m_.header()->pc, 0x104u);
    EXPECT_EQ(m_.header()->fault_address, base + 0x1000);
    EXPECT_EQ(word(base + 0xff8), 66u); // what came before it was done
    EXPECT_EQ(get("x1"), base + 0xff8);
}

TEST_F(Groups, WithAStoreWantTheRightToWrite) {
    m_.set_page(0, Rights::both, Rights::read);
    set("x1", base + 0x100), set("x6", 6), set("x7", 7);
    run(push_two);
    EXPECT_EQ(m_.slow(), 2u); // the load finds the page
    EXPECT_EQ(word(base + 0xe8), 7u);
    EXPECT_EQ(get("x5"), 6u);
}

// The step is not known where the block begins.
TEST_F(Groups, EndWhereTheSlotGetsAnotherValue) {
    set("x1", base + 0x100), set("x6", base + 0x2000), set("x7", 7);
    run("b0 entry pc 0x100:\n  insn 0x100 4\n  %1 = get i64 x1\n  %2 = get i64 x7\n  store [%1], %2 i64 index 1\n"
        "  insn 0x104 4\n  %3 = get i64 x1\n  store [%3 + 8], %2 i64 index 1\n"
        "  insn 0x108 4\n  %4 = get i64 x6\n  put x1, %4\n"
        "  insn 0x10c 4\n  %5 = get i64 x1\n  store [%5 + 16], %2 i64 index 1\n  insn 0x110 4\n  exit 0x114\n");
    ASSERT_EQ(m_.analysis().groups.size(), 1u);
    EXPECT_EQ(m_.analysis().groups[0].high, 16);
    EXPECT_EQ(word(base + 0x108), 7u);
    EXPECT_EQ(word(base + 0x2010), 7u);
}

// One check is for two turns of a loop, which meets the end of a page in its middle.
TEST_F(Groups, OfALoopAreForItsNextTurn) {
    constexpr u32 turns = 601;
    const u64 begin = base + 0x2000 - 8 * 300 - 8;
    u64 sum = 0;
    for (u64 n = 0; n < turns; ++n) std::memcpy(m_.memory() + (begin - base) + 8 * n, &n, 8), sum += n;
    set("x2", begin), set("x7", 0), set("count", turns);
    run("b0 entry pc 0x100:\n  insn 0x100 4\n  %1 = get i64 x2\n  %2 = load i64 [%1] i64 index 1\n"
        "  %3 = get i64 x7\n  %4 = add i64 %2, %3\n  put x7, %4\n"
        "  insn 0x104 4\n  %5 = constant i64 8\n  %6 = add i64 %1, %5\n  put x2, %6\n"
        "  insn 0x108 4\n  %7 = get i64 count\n  %8 = constant i64 -1\n  %9 = add i64 %7, %8\n  put count, %9\n"
        "  %10 = constant i64 0\n  %11 = icmp.ne i64 %9, %10\n  brcond %11, b0, b1\n"
        "b1 entry pc 0x10c:\n  insn 0x10c 4\n  exit 0x110\n");
    ASSERT_EQ(m_.analysis().groups.size(), 1u);
    EXPECT_TRUE(m_.analysis().groups[0].next_turn);
    EXPECT_EQ(m_.slow(), 0u);
    EXPECT_EQ(get("x7"), sum);
    EXPECT_EQ(get("x2"), begin + 8 * turns);
}

// A device may change what stands at a page: an access to one stops before those that would not ask any more.
TEST_F(Groups, DoNotRelyOnPagesBehindAnAccessToADevice) {
    m_.set_device(2);
    set("x1", base + 0x100), set("x6", base + 0x2000), set("x7", 7);
    const std::string begin = "b0 entry pc 0x100:\n  insn 0x100 4\n  %1 = get i64 x1\n  %2 = get i64 x7\n"
                              "  store [%1], %2 i64 index 1\n  insn 0x104 4\n  store [%1 + 8], %2 i64 index 1\n",
                      device = "  insn 0x108 4\n  %4 = get i64 x6\n  store [%4], %2 i64 index 1\n",
                      more = "  insn 0x10c 4\n  store [%1 + 16], %2 i64 index 1\n",
                      end = "  insn 0x110 4\n  exit 0x114\n";
    run(begin + device + more + end);
    EXPECT_TRUE(m_.met_device());
    EXPECT_EQ(m_.header()->exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(m_.header()->pc, 0x108u);
    EXPECT_EQ(word(base + 0x108), 7u);
    EXPECT_EQ(word(base + 0x2000), 0u);
    run(begin + device + end);
    EXPECT_FALSE(m_.met_device());
    EXPECT_EQ(m_.header()->pc, 0x114u);
    EXPECT_EQ(word(base + 0x2000), 7u);
    EXPECT_EQ(m_.views().relied_on, 0u);
    set("x1", base + 0xff0); // in two pages: each is looked up
    run(begin + device + more + end);
    EXPECT_FALSE(m_.met_device());
    EXPECT_EQ(word(base + 0x1000), 7u);
}

} // namespace
} // namespace mimic::jit
