// PrimeCell UART (PL011), revision r1p3: two 16-character FIFOs, loopback, modem lines.
// Source: Arm DDI 0183G, chapters 2 and 3.
// Not there: DMA requests, IrDA, line timing of the transmitter (a character leaves at once), parity and framing errors.
// Characters leave also while UARTEN or TXE is zero: early consoles of kernels rely on it.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/primecell.hpp"

namespace mimic::devices {
namespace {

constexpr u32 fifo_size = 16;
constexpr u16 FE = 1 << 8, PE = 1 << 9, BE = 1 << 10, OE = 1 << 11;                                      // UARTDR
constexpr u16 CTS = 1, DSR = 2, DCD = 4, RXFE = 0x10, TXFF = 0x20, RXFF = 0x40, TXFE = 0x80, RI = 0x100; // UARTFR
constexpr u16 FEN = 0x10;                                                                                // UARTLCR_H
constexpr u16 UARTEN = 1, LBE = 0x80, TXE = 0x100, RXE = 0x200, DTR = 0x400, RTS = 0x800, Out1 = 0x1000, Out2 = 0x2000;
// Interrupts, in UARTIMSC, UARTRIS, UARTMIS and UARTICR.
constexpr u16 RIM = 1, CTSM = 2, DCDM = 4, DSRM = 8, RX = 0x10, TX = 0x20, RT = 0x40, errors_shift = 7;

class Pl011 final : public Device {
public:
    std::string_view type() const override { return "pl011"; }
    void describe(Describe& d) override;
    void reset(ResetKind) override { update(); }
    Result<void> after_load() override {
        if (rx_.size() != rx_errors_.size())
            return Error::corrupt("rx_errors: {} bytes, expected {} as in rx_fifo", rx_errors_.size(), rx_.size());
        return {};
    }

private:
    bool fifos() const { return line_control_ & FEN; }
    u32 depth() const { return fifos() ? fifo_size : 1; }
    // UARTIFLS: 1/8, 1/4, 1/2, 3/4, 7/8 full; other values are reserved.
    u32 level(u32 select) const {
        constexpr u8 levels[] = {2, 4, 8, 12, 14, 14, 14, 14};
        return fifos() ? levels[select & 7] : 1;
    }

    u64 read_data() {
        if (rx_.empty()) return 0;
        u64 v = rx_.front() | u64{rx_errors_.front()} << 8;
        status_ = rx_errors_.front();
        rx_.erase(rx_.begin());
        rx_errors_.erase(rx_errors_.begin());
        if (rx_.size() < level(fifo_levels_ >> 3)) raw_ &= u16(~RX);
        if (rx_.empty()) raw_ &= u16(~RT);
        restart_timeout();
        update();
        port_.accept_input();
        return v;
    }
    void write_data(u64 v) {
        if (control_ & LBE) {
            push(u8(v), 0);
            raw_ |= TX;
            return update();
        }
        if (tx_.size() < depth()) tx_.push_back(u8(v)); // else it is lost
        transmit();
        update();
    }
    // The transmit interrupt is of the passage through the level, not of the level.
    void transmit() {
        u32 trigger = fifos() ? level(fifo_levels_) : 0;
        bool above = tx_.size() > trigger;
        if (!tx_.empty()) {
            u32 n = port_.write(tx_);
            tx_.erase(tx_.begin(), tx_.begin() + n);
            above |= n != 0;
        }
        if (above && tx_.size() <= trigger) raw_ |= TX;
    }
    void push(u8 c, u8 errors) {
        if (rx_.size() >= depth()) {
            rx_errors_.back() |= OE >> 8;
            raw_ |= OE >> 8 << errors_shift;
            return;
        }
        rx_.push_back(c);
        rx_errors_.push_back(errors);
        raw_ |= u16(errors << errors_shift);
        if (rx_.size() >= level(fifo_levels_ >> 3)) raw_ |= RX;
        restart_timeout();
    }
    // 32 bit periods without a read or a character while the FIFO holds some.
    void restart_timeout() {
        if (rx_.empty() || !fifos()) return timeout_.disarm();
        u64 divisor = u64{integer_baud_} * 64 + fraction_baud_; // 64ths of UARTCLK / 16
        if (!integer_baud_) divisor = 13 * 64;
        timeout_.arm(machine().now() + 32 * divisor * 16 * u64{1000000000} / 64 / clock_);
    }
    u32 room() const {
        bool listens = (control_ & (UARTEN | RXE)) == (UARTEN | RXE) && !(control_ & LBE);
        return listens && rx_.size() < depth() ? depth() - u32(rx_.size()) : 0;
    }

    u64 flags() {
        u64 v = modem_;
        if (rx_.empty()) v |= RXFE;
        if (rx_.size() >= depth()) v |= RXFF;
        if (tx_.empty()) v |= TXFE;
        if (tx_.size() >= depth()) v |= TXFF;
        return v;
    }
    // Modem inputs: a peer that is there and ready, or the outputs looped back (UARTCR, LBE).
    void update_modem() {
        u16 now = CTS | DSR | DCD;
        if (control_ & LBE)
            now = u16((control_ & RTS ? CTS : 0) | (control_ & DTR ? DSR : 0) | (control_ & Out1 ? DCD : 0) |
                      (control_ & Out2 ? RI : 0));
        u16 changed = now ^ modem_;
        raw_ |= u16((changed & RI ? RIM : 0) | (changed & CTS ? CTSM : 0) | (changed & DCD ? DCDM : 0) |
                    (changed & DSR ? DSRM : 0));
        modem_ = now;
    }
    void control_changed() {
        update_modem();
        update();
        port_.accept_input();
    }
    // A change of FEN empties both FIFOs.
    void write_line_control(u64 v) {
        if ((line_control_ ^ v) & FEN) {
            rx_.clear();
            rx_errors_.clear();
            tx_.clear();
            timeout_.disarm();
        }
        line_control_ = u16(v & 0xff);
        port_.accept_input();
    }
    u64 status() { return status_; }
    void clear_status(u64) { status_ = 0; }
    u64 raw() { return raw_; }
    u64 masked() { return raw_ & mask_; }
    void clear(u64 v) {
        raw_ &= u16(~v);
        update();
    }
    u64 identification(u32 i) { return primecell_id(0x011, 1, i); }
    void update() { irq_.set(raw_ & mask_); }
    void event(chardev::Event e) {
        if (e != chardev::Event::break_signal || !(control_ & RXE)) return;
        push(0, BE >> 8);
        update();
    }

    static const RegRow<Pl011> regs[];
    u64 clock_ = 24000000;
    u16 integer_baud_ = 0, fraction_baud_ = 0, line_control_ = 0, control_ = 0, mask_ = 0, raw_ = 0, dma_ = 0,
        irda_ = 0;
    u16 modem_ = 0;
    u8 fifo_levels_ = 0, status_ = 0;
    std::vector<u8> rx_, rx_errors_, tx_;
    Line irq_;
    Timer timeout_{*this, [this] {
                       raw_ |= RT;
                       update();
                   }};
    CharPort port_{*this,
                   {.room = [this] { return room(); },
                    .receive =
                        [this](std::span<const u8> bytes) {
                            for (u8 c : bytes) push(c, 0);
                            update();
                        },
                    .event = [this](chardev::Event e) { event(e); },
                    .writable =
                        [this] {
                            transmit();
                            update();
                        }}};
};

constexpr RegRow<Pl011> Pl011::regs[] = {
    {0x000, "UARTDR", {}, {.read = &Pl011::read_data, .write = &Pl011::write_data}},
    {0x004, "UARTRSR/UARTECR", {}, {.read = &Pl011::status, .write = &Pl011::clear_status}},
    {0x018, "UARTFR", {}, {.read = &Pl011::flags}},
    {0x020, "UARTILPR", &Pl011::irda_, {.writable = 0xff}},
    {0x024, "UARTIBRD", &Pl011::integer_baud_, {.writable = 0xffff}},
    {0x028, "UARTFBRD", &Pl011::fraction_baud_, {.writable = 0x3f}},
    {0x02c, "UARTLCR_H", &Pl011::line_control_, {.writable = 0, .write = &Pl011::write_line_control}},
    {0x030, "UARTCR", &Pl011::control_, {.reset = TXE | RXE, .writable = 0xff87, .changed = &Pl011::control_changed}},
    {0x034, "UARTIFLS", &Pl011::fifo_levels_, {.reset = 0x12, .writable = 0x3f}},
    {0x038, "UARTIMSC", &Pl011::mask_, {.writable = 0x7ff, .changed = &Pl011::update}},
    {0x03c, "UARTRIS", {}, {.read = &Pl011::raw}},
    {0x040, "UARTMIS", {}, {.read = &Pl011::masked}},
    {0x044, "UARTICR", {}, {.write = &Pl011::clear}},
    {0x048, "UARTDMACR", &Pl011::dma_, {.writable = 7}},
    {primecell_id_offset, "UARTPeriphID/UARTPCellID", {}, {.read_at = &Pl011::identification, .count = 8}},
};

void Pl011::describe(Describe& d) {
    d.property("clock-frequency", clock_, "Hz of UARTCLK", {.low = 1, .high = 1000000000});
    d.chardev("chardev", port_, "host character device behind this UART");
    d.interrupt("irq", irq_);
    d.registers(*this, regs, primecell_size);
    d.state("raw", raw_, {.high = 0x7ff});
    d.state("status", status_, {.high = 0x0f});
    d.state("modem", modem_, {.reset = CTS | DSR | DCD, .high = 0x1ff});
    d.state("rx_fifo", rx_, fifo_size);
    d.state("rx_errors", rx_errors_, fifo_size);
    d.state("tx_fifo", tx_, fifo_size);
    d.timer("timeout", timeout_);
    d.derived("UARTFR", flags());
}

} // namespace

MIMIC_DEVICE(pl011) = {
    .name = "pl011", .bus = "system", .summary = "PrimeCell UART (PL011)", .make = make_device<Pl011>};

} // namespace mimic::devices
