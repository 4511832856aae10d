// Runs a fuzz target without a fuzzer: over kept inputs (files and folders on the command line; a folder that is not
// there counts as empty) and over a few thousand inputs made of them and of chance, the same in each run.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;
constexpr int made_inputs = 4000;
constexpr size_t longest_made = 4096;

Bytes read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Bytes> kept_inputs(int argc, char** argv) {
    std::vector<Bytes> inputs;
    for (int i = 1; i < argc; i++) {
        if (std::filesystem::is_directory(argv[i])) {
            for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
                if (entry.is_regular_file()) inputs.push_back(read(entry.path()));
        } else if (std::filesystem::exists(argv[i])) {
            inputs.push_back(read(argv[i]));
        }
    }
    return inputs;
}

// A kept input, or none, with some bytes changed, cut or added.
Bytes make(std::mt19937_64& chance, const std::vector<Bytes>& kept) {
    Bytes bytes;
    if (!kept.empty() && chance() % 4 != 0) bytes = kept[chance() % kept.size()];
    if (bytes.empty() || chance() % 4 == 0) bytes.resize(chance() % longest_made);
    size_t changes = kept.empty() ? bytes.size() : chance() % 16;
    for (size_t i = 0; i < changes && !bytes.empty(); i++) bytes[chance() % bytes.size()] = uint8_t(chance());
    return bytes;
}

} // namespace

int main(int argc, char** argv) {
    auto kept = kept_inputs(argc, argv);
    for (const auto& bytes : kept) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    std::mt19937_64 chance(1); // NOLINT: the same inputs in each run
    for (int i = 0; i < made_inputs; i++) {
        Bytes bytes = make(chance, kept);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%zu kept and %d made inputs\n", kept.size(), made_inputs);
}
