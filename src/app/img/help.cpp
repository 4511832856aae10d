#include "app/img/help.hpp"
#include <algorithm>
#include <fmt/core.h>

namespace mimic::img {

namespace {

struct Option {
    std::string_view key, text;
};

// Those of several commands.
constexpr Option shared[] = {
    {"object",
     "  --object DEF          secret,id=ID,data=STRING or secret,id=ID,file=PATH: a secret of encrypted images;\n"
     "                        tls-creds-x509,... and tls-creds-psk,...: what TLS needs\n"},
    {"image-opts", "  --image-opts          file names are option lists (driver=qcow2,file.filename=a.img)\n"},
    {"f", "  -f FMT                format of the image; guessed from the image if it is not given\n"},
    {"output", "  --output=FORM         human (default) or json, for scripts\n"},
    {"U", "  -U, --force-share     open the image although another process writes to it; what is read then may not fit "
          "together\n"},
    {"q", "  -q                    print nothing but errors\n"},
    {"p", "  -p                    show progress; without it SIGUSR1 makes the program print a line that shows it\n"},
    {"t", "  -t CACHE              how the image is written: none, writeback (default), writethrough, directsync or "
          "unsafe\n"},
    {"T",
     "  -T CACHE              how the image is read: none, writeback (default), writethrough, directsync or unsafe\n"},
    {"size", "  SIZE, OFFSET, ...     bytes, with an optional suffix k, M, G, T, P or E (powers of 1024)\n"},
};

struct Help {
    std::string_view name, summary, own, keys; // keys: of shared options
};

constexpr Help all[] = {
    {"amend", "Changes options of an image that is there.",
     "  -o OPTIONS            name=value,...; `-f FMT -o help` lists those of a format\n"
     "  --force               accepted; nothing here asks for it\n"
     "  FILENAME              the image\n",
     "f t object image-opts p q"},
    {"bench", "Sends requests of one kind and tells how long they took.",
     "  -c COUNT              requests in all (75000)\n"
     "  -d DEPTH              requests in flight (64)\n"
     "  -s SIZE               bytes of a request (4096)\n"
     "  -S STEP               from the start of a request to that of the next (as -s)\n"
     "  -o OFFSET             where the first one starts (0)\n"
     "  -w                    write; what the image holds is lost\n"
     "  --pattern BYTE        what is written, 0 to 255 (0)\n"
     "  --flush-interval N    with -w: a flush after each N requests, at least DEPTH\n"
     "  --no-drain            flush without waiting for the requests in flight\n"
     "  -i AIO                threads, native or io_uring\n"
     "  -n                    as -i native\n"
     "  FILENAME              the image\n",
     "f t image-opts U q size"},
    {"bitmap", "Changes persistent bitmaps, in the order in which the actions stand.",
     "  --add                 make it\n"
     "  --remove              remove it\n"
     "  --clear               clear all of its bits\n"
     "  --enable, --disable   whether it notes writes\n"
     "  --merge SOURCE        add the bits of another bitmap\n"
     "  -g SIZE               with --add: bytes that a bit stands for\n"
     "  -b FILE               with --merge: the image that has SOURCE\n"
     "  -F FMT                format of that image\n"
     "  FILENAME              the image\n"
     "  BITMAP                the bitmap's name\n",
     "f object image-opts size"},
    {"check",
     "Looks for errors in an image. Exit status: 0 none, 1 could not check, 2 corrupt, 3 leaks only, 63 the format "
     "has no check.",
     "  -r, --repair WHAT     leaks, or all for errors, too\n"
     "  FILENAME              the image; its backing files are opened, too\n",
     "f T output object image-opts U q"},
    {"commit", "Writes what an image holds into its backing file.",
     "  -b BASE               into this file of the chain, in place of the next; implies -d\n"
     "  -d                    don't empty the image afterwards\n"
     "  -r RATE               bytes a second, at most\n"
     "  FILENAME              the image\n",
     "f t object image-opts p q size"},
    {"compare", "Compares what two images show. Exit status: 0 the same, 1 different, or bad usage, 2 and more errors.",
     "  -f FMT                format of the first image; guessed if it is not given\n"
     "  -F FMT                format of the second image\n"
     "  -s                    strict: sizes and what is allocated must be the same, too\n"
     "  FILENAME1 FILENAME2   the images; the longer one may end in zeros\n",
     "T object image-opts U p q"},
    {"convert", "Copies images, one behind the other, into a new one.",
     "  -f FMT                format of the sources; guessed if it is not given\n"
     "  -O FMT                format of the output (raw)\n"
     "  -o OPTIONS            creation options of the output, name=value,...; `-O FMT -o help` lists them\n"
     "  -B FILE               backing file of the output, whose contents are not copied\n"
     "  -F FMT                its format\n"
     "  -u                    don't open it\n"
     "  -c                    compress\n"
     "  -C                    copy within the host where it can\n"
     "  -l SNAPSHOT           copy from a snapshot: snapshot.id=ID,snapshot.name=NAME, or an id or a name\n"
     "  -S SIZE               zeros of at least so many bytes become a hole (4k); 0: none\n"
     "  -n                    the output is there already; it is not made\n"
     "  --target-is-zero      with -n: the output reads as zeros\n"
     "  --target-image-opts   with -n: OUTPUT is an option list\n"
     "  --source-image-opts   as --image-opts\n"
     "  -m COUNT              requests in flight, 1 to 64 (8)\n"
     "  -W                    write in any order: faster, but the output may become fragmented\n"
     "  -r RATE               bytes a second, at most\n"
     "  --salvage             what can't be read becomes zeros\n"
     "  --bitmaps             copy persistent bitmaps, too\n"
     "  --skip-broken-bitmaps  but not those that were not stored properly\n"
     "  --resume FILE         go on where the same command was interrupted (killed, no space, power lost): FILE says "
     "how far\n"
     "                        it came\n"
     "  -t CACHE              how the output is written: none, writeback, writethrough, directsync or unsafe "
     "(default)\n"
     "  SOURCE ... OUTPUT     the images\n",
     "T object image-opts U p q size"},
    {"create", "Makes an image.",
     "  -f FMT                its format (raw)\n"
     "  -b FILE               backing file: what shows where the image has nothing\n"
     "  -F FMT                its format\n"
     "  -u                    don't open it; then SIZE is needed\n"
     "  -o OPTIONS            name=value,...; `-f FMT -o help` lists those of a format\n"
     "  FILENAME              the image\n"
     "  SIZE                  of the disk; that of the backing file if it is not given\n",
     "object q size"},
    {"dd", "Copies part of an image into a new one.",
     "  -f FMT                format of the input; guessed if it is not given\n"
     "  -O FMT                format of the output (raw)\n"
     "  if=FILE               the input\n"
     "  of=FILE               the output\n"
     "  bs=SIZE               bytes of a block (512)\n"
     "  count=N               copy so many blocks\n"
     "  skip=N                leave so many blocks of the input out\n",
     "object image-opts U size"},
    {"info", "Tells what an image is.",
     "  --backing-chain       of its backing files, too\n"
     "  FILENAME              the image\n",
     "f output object image-opts U"},
    {"map", "Tells which parts of a disk hold data, and where they are.",
     "  -s, --start-offset OFFSET  begin there\n"
     "  -l, --max-length SIZE  end after so many bytes\n"
     "  FILENAME              the image\n",
     "f output object image-opts U size"},
    {"measure", "Tells how large the file of an image will be.",
     "  -O FMT                format of that image (raw)\n"
     "  -o OPTIONS            its creation options\n"
     "  --size SIZE           of a new image with a disk of that size\n"
     "  -f FMT                format of FILENAME; guessed if it is not given\n"
     "  -l SNAPSHOT           of what this snapshot of FILENAME holds\n"
     "  FILENAME              of a copy of this image\n",
     "output object image-opts U size"},
    {"rebase", "Gives an image another backing file. What the image shows stays the same.",
     "  -b FILE               the new backing file; \"\" for none\n"
     "  -F FMT                its format\n"
     "  -u                    only change the name, and with it perhaps what the image shows\n"
     "  -T CACHE              how the backing files are read: none, writeback (default), ...\n"
     "  FILENAME              the image\n",
     "f t object image-opts U p q"},
    {"resize", "Changes the size of a disk.",
     "  --shrink              needed to make it smaller; what is cut off is lost\n"
     "  --preallocation=MODE  of what is new: off (default), metadata, falloc or full\n"
     "  FILENAME              the image\n"
     "  SIZE, +SIZE, -SIZE    the new size, or by how much it changes\n",
     "f object image-opts q size"},
    {"snapshot", "Lists or changes internal snapshots.",
     "  -l                    list (default)\n"
     "  -c NAME               create one\n"
     "  -a NAME               apply one: the disk is again as it was; what it is now is lost\n"
     "  -d NAME               delete one; NAME may be an id here\n"
     "  FILENAME              the image\n",
     "object image-opts U q"},
};

} // namespace

std::string help_of(std::string_view command) {
    auto found = std::ranges::find(all, command, &Help::name);
    if (found == std::end(all)) return {};
    std::string text = fmt::format("{}\n\n{}", found->summary, found->own);
    const std::string keys = fmt::format(" {} ", found->keys);
    for (auto& o : shared)
        if (keys.find(fmt::format(" {} ", o.key)) != keys.npos) text += o.text;
    return text;
}

} // namespace mimic::img
