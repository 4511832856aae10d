// `mimic binfmt`: registrations with the host's kernel.
#pragma once
#include "user/linux/abi.hpp"
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::user {

// What the kernel is told for a guest: programs whose first bytes are its ELF header's go to the interpreter `path`.
struct Registration {
    std::string name; // "mimic-aarch64"
    u8 magic[20] = {};
    std::string line; // for the file `register`
};
Registration registration(const Abi& abi, std::string_view path, std::string_view flags);

// `mimic binfmt register|unregister|list|doctor`: 0, 1 after one line on standard error, or 2 for wrong words.
int binfmt_main(std::span<const std::string_view> words);

// The words of a start by the kernel through a registration with flag P, as the words of `mimic run`.
std::vector<std::string_view> binfmt_words(std::span<const std::string_view> words);

} // namespace mimic::user
