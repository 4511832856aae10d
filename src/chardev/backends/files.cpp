// Back ends over files of the host: file, pipe (a pair PATH.in and PATH.out, or one), pty, stdio.
#include "chardev/options.hpp"
#include "chardev/stream.hpp"
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

namespace mimic::chardev {

namespace {

Result<int> open_fd(const std::string& id, const std::string& path, int flags) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (fd < 0) return Error::from_errno(errno, "chardev '{}': cannot open {}", id, path);
    return fd;
}

class FileDev final : public Stream {
public:
    FileDev(io::Loop& loop, std::string id, std::string name, int in, int out, int held = -1)
        : Stream(loop, std::move(id))
        , name_(std::move(name))
        , in_fd_(in)
        , out_fd_(out)
        , held_fd_(held) {
        connect(in, out);
    }
    ~FileDev() override {
        drain();
        disconnect();
        if (in_fd_ >= 0) close(in_fd_);
        if (out_fd_ >= 0 && out_fd_ != in_fd_) close(out_fd_);
        if (held_fd_ >= 0) close(held_fd_);
    }
    std::string filename() const override { return name_; }

private:
    std::string name_;
    int in_fd_, out_fd_, held_fd_;
};

// The terminal gets its old settings when this goes, and when the process ends in another way.
class Stdio final : public Stream {
public:
    Stdio(io::Loop& loop, std::string id, bool signals, std::shared_ptr<bool> taken)
        : Stream(loop, std::move(id))
        , taken_(std::move(taken)) {
        *taken_ = true;
        if (tcgetattr(0, &before_) == 0) {
            termios raw = before_;
            raw.c_iflag &= ~tcflag_t(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
            raw.c_oflag |= OPOST;
            raw.c_lflag &= ~tcflag_t(ECHO | ECHONL | ICANON | IEXTEN);
            if (!signals) raw.c_lflag &= ~tcflag_t(ISIG);
            raw.c_cc[VMIN] = 1;
            raw.c_cc[VTIME] = 0;
            terminal_ = tcsetattr(0, TCSANOW, &raw) == 0;
        }
        connect(0, 1);
    }
    ~Stdio() override {
        drain();
        disconnect();
        if (terminal_) tcsetattr(0, TCSANOW, &before_);
        *taken_ = false;
    }
    std::string filename() const override { return "stdio"; }

private:
    std::shared_ptr<bool> taken_;
    termios before_{};
    bool terminal_ = false;
};

} // namespace

Result<std::unique_ptr<Chardev>> open_file(OpenContext& c, Options& o) {
    std::string path = o.text("path"), input = o.text("input-path");
    bool append = o.flag("append", false);
    if (path.empty()) return Error::invalid_argument("chardev '{}': option 'path' is missing, expected a file", o.id());
    int out = TRY(open_fd(o.id(), path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC)));
    int in = -1;
    if (!input.empty()) {
        auto opened = open_fd(o.id(), input, O_RDONLY);
        if (!opened) {
            close(out);
            return std::move(opened).error();
        }
        in = *opened;
    }
    return std::unique_ptr<Chardev>(std::make_unique<FileDev>(c.loop, o.id(), "file:" + path, in, out));
}

Result<std::unique_ptr<Chardev>> open_pipe(OpenContext& c, Options& o) {
    std::string path = o.text("path");
    if (path.empty()) return Error::invalid_argument("chardev '{}': option 'path' is missing, expected a FIFO", o.id());
    std::string in_path = path + ".in", out_path = path + ".out";
    if (access(in_path.c_str(), F_OK) != 0 && access(out_path.c_str(), F_OK) != 0) {
        int both = TRY(open_fd(o.id(), path, O_RDWR | O_NONBLOCK));
        return std::unique_ptr<Chardev>(std::make_unique<FileDev>(c.loop, o.id(), "pipe:" + path, both, both));
    }
    // Read and write, so that an end is not seen each time a peer comes and goes.
    int in = TRY(open_fd(o.id(), in_path, O_RDWR | O_NONBLOCK));
    auto out = open_fd(o.id(), out_path, O_RDWR | O_NONBLOCK);
    if (!out) {
        close(in);
        return std::move(out).error();
    }
    return std::unique_ptr<Chardev>(std::make_unique<FileDev>(c.loop, o.id(), "pipe:" + path, in, *out));
}

Result<std::unique_ptr<Chardev>> open_pty(OpenContext& c, Options& o) {
    std::string link = o.text("path");
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    char name[128] = "";
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || ptsname_r(fd, name, sizeof name) != 0) {
        int why = errno;
        if (fd >= 0) close(fd);
        return Error::from_errno(why, "chardev '{}': cannot make a pty", o.id());
    }
    termios raw{};
    tcgetattr(fd, &raw);
    cfmakeraw(&raw);
    tcsetattr(fd, TCSANOW, &raw);
    // Held open by us, too, so that the pty does not hang up while nobody has it.
    int slave = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (!link.empty() && symlink(name, link.c_str()) != 0) {
        int why = errno;
        close(fd);
        if (slave >= 0) close(slave);
        return Error::from_errno(why, "chardev '{}': cannot make the link {}", o.id(), link);
    }
    c.say(fmt::format("char device redirected to {} (label {})", name, o.id()));
    return std::unique_ptr<Chardev>(
        std::make_unique<FileDev>(c.loop, o.id(), fmt::format("pty:{}", name), fd, fd, slave));
}

Result<std::unique_ptr<Chardev>> open_stdio(OpenContext& c, Options& o) {
    bool signals = o.flag("signal", true);
    if (*c.stdio)
        return Error::busy(
            "chardev '{}': cannot use stdio by multiple character devices, expected one of them, or mon:stdio", o.id());
    return std::unique_ptr<Chardev>(std::make_unique<Stdio>(c.loop, o.id(), signals, c.stdio));
}

} // namespace mimic::chardev
