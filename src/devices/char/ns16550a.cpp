// A 16550A UART with its two FIFOs and loopback.
// Source: PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs (data sheet, June 1995), section 8.
// Not there: line timing (a character leaves at once), parity and framing errors, 5 to 7 bit characters (all have 8).
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"

namespace mimic::devices {
namespace {

constexpr u8 DLAB = 0x80;                                                   // LCR
constexpr u8 ERBFI = 1, ETBEI = 2, ELSI = 4, EDSSI = 8;                     // IER
constexpr u8 FIFO_enable = 1, RCVR_reset = 2, XMIT_reset = 4;               // FCR
constexpr u8 DTR = 1, RTS = 2, OUT1 = 4, OUT2 = 8, LOOP = 16;               // MCR
constexpr u8 DR = 1, OE = 2, PE = 4, FE = 8, BI = 16, THRE = 32, TEMT = 64; // LSR
constexpr u8 CTS = 0x10, DSR = 0x20, RI = 0x40, DCD = 0x80;                 // MSR
constexpr u32 fifo_size = 16;

class Ns16550a final : public Device {
public:
    std::string_view type() const override { return "serial-mm"; }
    void describe(Describe& d) override;
    void reset(ResetKind) override { update(); }
    Result<void> after_load() override {
        update();
        return {};
    }

private:
    u64 read_data() {
        if (lcr_ & DLAB) return dll_;
        if (rx_.empty()) return 0;
        u8 c = rx_.front();
        rx_.erase(rx_.begin());
        timed_out_ = 0;
        restart_timeout();
        update();
        port_.accept_input();
        return c;
    }
    void write_data(u64 v) {
        if (lcr_ & DLAB) {
            dll_ = u8(v);
            return;
        }
        thre_pending_ = 0;
        if (mcr_ & LOOP) {
            push(u8(v));
        } else if (tx_.size() < (fifo_on() ? fifo_size : 1)) {
            tx_.push_back(u8(v));
        } // else overrun of the transmitter: the character is lost
        transmit();
        update();
    }
    u64 read_ier() { return lcr_ & DLAB ? dlm_ : ier_; }
    void write_ier(u64 v) {
        if (lcr_ & DLAB) {
            dlm_ = u8(v);
            return;
        }
        u8 before = ier_;
        ier_ = u8(v) & 0x0f;
        // Enabling it while the register is empty interrupts at once (section 8.7).
        if ((ier_ & ETBEI) && !(before & ETBEI) && tx_.empty()) thre_pending_ = 1;
        update();
    }
    u64 read_iir() {
        u8 id = pending();
        if ((id & 0x0f) == 2) {
            thre_pending_ = 0;
            update();
        }
        return id;
    }
    void write_fcr(u64 v) {
        if (u8(v ^ fcr_) & FIFO_enable) v |= RCVR_reset | XMIT_reset;
        if (v & RCVR_reset) {
            rx_.clear();
            timed_out_ = 0;
            timeout_.disarm();
        }
        if (v & XMIT_reset) {
            tx_.clear();
            thre_pending_ = 1;
        }
        fcr_ = u8(v) & 0xc9;
        update();
        port_.accept_input();
    }
    u64 read_lsr() {
        u8 v = lsr();
        errors_ = 0;
        update();
        return v;
    }
    void write_mcr(u64 v) {
        mcr_ = u8(v) & 0x1f;
        set_modem(modem());
        update();
    }
    u64 read_msr() {
        u8 v = modem() | delta_;
        delta_ = 0;
        update();
        return v;
    }

    bool fifo_on() const { return fcr_ & FIFO_enable; }
    u8 lsr() const { return u8((rx_.empty() ? 0 : DR) | errors_ | (tx_.empty() ? THRE | TEMT : 0)); }
    // Modem inputs: looped back from MCR, or a peer that is there and ready.
    u8 modem() const {
        if (!(mcr_ & LOOP)) return CTS | DSR | DCD;
        return u8((mcr_ & RTS ? CTS : 0) | (mcr_ & DTR ? DSR : 0) | (mcr_ & OUT1 ? RI : 0) | (mcr_ & OUT2 ? DCD : 0));
    }
    void set_modem(u8 now) {
        u8 changed = (now ^ modem_before_) >> 4;
        if (!(modem_before_ & RI) || (now & RI)) changed &= u8(~4); // RI counts its trailing edge only
        delta_ |= changed;
        modem_before_ = now;
    }
    u32 trigger() const {
        constexpr u8 levels[] = {1, 4, 8, 14};
        return fifo_on() ? levels[fcr_ >> 6] : 1;
    }
    // IIR: the most urgent interrupt that is enabled (table of section 8.6).
    u8 pending() const {
        u8 fifo = fifo_on() ? 0xc0 : 0;
        if ((ier_ & ELSI) && errors_) return fifo | 6;
        if ((ier_ & ERBFI) && rx_.size() >= trigger()) return fifo | 4;
        if ((ier_ & ERBFI) && timed_out_) return fifo | 12;
        if ((ier_ & ETBEI) && thre_pending_) return fifo | 2;
        if ((ier_ & EDSSI) && delta_) return fifo | 0;
        return fifo | 1;
    }
    void update() { irq_.set(!(pending() & 1)); }

    void push(u8 c) {
        if (rx_.size() >= (fifo_on() ? fifo_size : 1)) {
            errors_ |= OE;
            if (fifo_on()) return;
            rx_.clear(); // the holding register is overwritten
        }
        rx_.push_back(c);
        restart_timeout();
    }
    // Characters below the trigger level interrupt after four character times.
    void restart_timeout() {
        if (rx_.empty() || !fifo_on())
            timeout_.disarm();
        else
            timeout_.arm(machine().now() + character_time() * 4);
    }
    u64 character_time() const {
        u64 divisor = dll_ | u64{dlm_} << 8;
        return 10 * u64{1000000000} * (divisor ? divisor : 1) / baudbase_;
    }
    void transmit() {
        if (!tx_.empty()) {
            u32 n = port_.write(tx_);
            tx_.erase(tx_.begin(), tx_.begin() + n);
        }
        if (tx_.empty()) thre_pending_ = 1;
    }
    u32 room() const {
        u32 size = fifo_on() ? fifo_size : 1;
        return (mcr_ & LOOP) || rx_.size() >= size ? 0 : size - u32(rx_.size());
    }
    void event(chardev::Event e) {
        if (e != chardev::Event::break_signal) return;
        push(0);
        errors_ |= BI;
        update();
    }

    static const RegRow<Ns16550a> regs[];
    u64 baudbase_ = 115200;
    u8 dll_ = 0, dlm_ = 0, ier_ = 0, fcr_ = 0, lcr_ = 0, mcr_ = 0, scr_ = 0;
    u8 errors_ = 0, delta_ = 0, modem_before_ = 0, thre_pending_ = 0, timed_out_ = 0;
    std::vector<u8> rx_, tx_;
    Line irq_;
    Timer timeout_{*this, [this] {
                       timed_out_ = 1;
                       update();
                   }};
    CharPort port_{*this,
                   {.room = [this] { return room(); },
                    .receive =
                        [this](std::span<const u8> bytes) {
                            for (u8 c : bytes) push(c);
                            update();
                        },
                    .event = [this](chardev::Event e) { event(e); },
                    .writable =
                        [this] {
                            transmit();
                            update();
                        }}};
};

constexpr RegRow<Ns16550a> Ns16550a::regs[] = {
    {0, "RBR/THR/DLL", {}, {.read = &Ns16550a::read_data, .write = &Ns16550a::write_data, .bytes = 1}},
    {1, "IER/DLM", {}, {.read = &Ns16550a::read_ier, .write = &Ns16550a::write_ier, .bytes = 1}},
    {2, "IIR/FCR", {}, {.read = &Ns16550a::read_iir, .write = &Ns16550a::write_fcr, .bytes = 1}},
    {3, "LCR", &Ns16550a::lcr_, {.bytes = 1}},
    {4, "MCR", &Ns16550a::mcr_, {.reset = OUT2, .writable = 0, .write = &Ns16550a::write_mcr, .bytes = 1}},
    {5, "LSR", {}, {.read = &Ns16550a::read_lsr, .bytes = 1}},
    {6, "MSR", {}, {.read = &Ns16550a::read_msr, .bytes = 1}},
    {7, "SCR", &Ns16550a::scr_, {.bytes = 1}},
};

void Ns16550a::describe(Describe& d) {
    d.property("baudbase", baudbase_, "highest bits per second (the input clock divided by 16)", {.low = 1});
    d.chardev("chardev", port_, "host character device behind this UART");
    d.interrupt("irq", irq_);
    d.registers(*this, regs, 8);
    d.state("dll", dll_, {.reset = 12});
    d.state("dlm", dlm_);
    d.state("ier", ier_, {.high = 0x0f});
    d.state("fcr", fcr_, {.high = 0xc9});
    d.state("errors", errors_, {.high = 0x1e});
    d.state("delta", delta_, {.high = 0x0f});
    d.state("modem", modem_before_, {.reset = CTS | DSR | DCD});
    d.state("thre_pending", thre_pending_, {.reset = 1, .high = 1});
    d.state("timed_out", timed_out_, {.high = 1});
    d.state("rx_fifo", rx_, fifo_size);
    d.state("tx_fifo", tx_, fifo_size);
    d.timer("timeout", timeout_);
    d.derived("LSR", lsr());
}

} // namespace

MIMIC_DEVICE(ns16550a) = {
    .name = "serial-mm", .bus = "system", .summary = "16550A UART, memory-mapped", .make = make_device<Ns16550a>};

} // namespace mimic::devices
