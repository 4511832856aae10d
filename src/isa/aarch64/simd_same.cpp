// Advanced SIMD three same, vector and scalar: Arm ARM C4.1.97.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

bool bytes_only(const I& i) { return i[size_] == 0; }
bool doublewords(const I& i) { return i[size_] == 3; }

template <VBin K>
void binary(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(K, int_lane(i), vector(t, i[Rn], i), vector(t, i[Rm], i)));
}
template <VRel K>
void compare_lanes(A64& t, const I& i) {
    t.v(i[Rd], compare(t, K, int_lane(i), vector(t, i[Rn], i), vector(t, i[Rm], i)));
}
template <VBin K>
void accumulate_difference(A64& t, const I& i) {
    Val difference = t.vbin(K, int_lane(i), vector(t, i[Rn], i), vector(t, i[Rm], i));
    t.v(i[Rd], t.vbin(VBin::add, int_lane(i), vector(t, i[Rd], i), difference));
}
template <VTern K>
void multiply_add(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vtern, vector_type(i), vector(t, i[Rn], i), vector(t, i[Rm], i), vector(t, i[Rd], i), 0, u8(K),
                    int_lane(i)));
}

// orr of a register with itself is how mov is encoded.
template <VBin K>
void logical(A64& t, const I& i) {
    if (K == VBin::or_ && i[Rn] == i[Rm]) return t.v(i[Rd], vector(t, i[Rn], i));
    if (K == VBin::xor_ && i[Rn] == i[Rm]) return t.v(i[Rd], zero_vector(t, vector_type(i)));
    t.v(i[Rd], t.vbin(K, Lane::i64, vector(t, i[Rn], i), vector(t, i[Rm], i)));
}
void bitwise_select(A64& t, const I& i, i64 mask, i64 yes, i64 no) {
    t.v(i[Rd], t.op(Op::vselect, vector_type(i), vector(t, mask, i), vector(t, yes, i), vector(t, no, i)));
}
void bsl(A64& t, const I& i) { bitwise_select(t, i, i[Rd], i[Rn], i[Rm]); }
void bit(A64& t, const I& i) { bitwise_select(t, i, i[Rm], i[Rn], i[Rd]); }
void bif(A64& t, const I& i) { bitwise_select(t, i, i[Rm], i[Rd], i[Rn]); }

template <VBin K, Fp F = Fp::by_sz>
void fp_binary(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(K, fp_lane<F>(i), vector(t, i[Rn], i), vector(t, i[Rm], i)));
}
template <VRel K, Fp F = Fp::by_sz>
void fp_compare(A64& t, const I& i) {
    t.v(i[Rd], compare(t, K, fp_lane<F>(i), vector(t, i[Rn], i), vector(t, i[Rm], i)));
}
template <VTern K, Fp F = Fp::by_sz>
void fp_multiply_add(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vtern, vector_type(i), vector(t, i[Rn], i), vector(t, i[Rm], i), vector(t, i[Rd], i),
                    ir::FpArg{}.bits(), u8(K), fp_lane<F>(i)));
}

template <VBin K>
void scalar_binary(A64& t, const I& i) {
    Lane lane = int_lane(i);
    put_lane(t, i[Rd], lane, t.vbin(K, lane, one_lane(t, i[Rn], lane), one_lane(t, i[Rm], lane)));
}
template <VRel K>
void scalar_compare(A64& t, const I& i) {
    Lane lane = int_lane(i);
    put_lane(t, i[Rd], lane, compare(t, K, lane, one_lane(t, i[Rn], lane), one_lane(t, i[Rm], lane)));
}
template <VBin K, Fp F = Fp::by_sz>
void scalar_fp_binary(A64& t, const I& i) {
    Lane lane = fp_lane<F>(i);
    put_lane(t, i[Rd], lane, t.vbin(K, lane, one_lane(t, i[Rn], lane), one_lane(t, i[Rm], lane)));
}
template <VRel K, Fp F = Fp::by_sz>
void scalar_fp_compare(A64& t, const I& i) {
    Lane lane = fp_lane<F>(i);
    put_lane(t, i[Rd], lane, compare(t, K, lane, one_lane(t, i[Rn], lane), one_lane(t, i[Rm], lane)));
}

// clang-format off
constexpr R rows[] = {
    {"shadd     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00000 1 Rn Rd",        binary<VBin::savg_down>, not_doublewords},
    {"sqadd     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00001 1 Rn Rd",        binary<VBin::sadd_sat>, full_doublewords},
    {"srhadd    {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00010 1 Rn Rd",        binary<VBin::srhadd_up>, not_doublewords},
    {"shsub     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00100 1 Rn Rd",        binary<VBin::ssub_half>, not_doublewords},
    {"sqsub     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00101 1 Rn Rd",        binary<VBin::ssub_sat>, full_doublewords},
    {"sshl      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01000 1 Rn Rd",        binary<VBin::sshl_signed>, full_doublewords},
    {"sqshl     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01001 1 Rn Rd",        binary<VBin::sqshl>, full_doublewords},
    {"srshl     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01010 1 Rn Rd",        binary<VBin::srshl>, full_doublewords},
    {"sqrshl    {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01011 1 Rn Rd",        binary<VBin::sqrshl>, full_doublewords},
    {"smax      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01100 1 Rn Rd",        binary<VBin::smax>, not_doublewords},
    {"smin      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01101 1 Rn Rd",        binary<VBin::smin>, not_doublewords},
    {"sabd      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01110 1 Rn Rd",        binary<VBin::sabd>, not_doublewords},
    {"add       {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10000 1 Rn Rd",        binary<VBin::add>, full_doublewords},
    {"mul       {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10011 1 Rn Rd",        binary<VBin::mul>, not_doublewords},
    {"smaxp     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10100 1 Rn Rd",        binary<VBin::smaxp>, not_doublewords},
    {"sminp     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10101 1 Rn Rd",        binary<VBin::sminp>, not_doublewords},
    {"sqdmulh   {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10110 1 Rn Rd",        binary<VBin::sqdmulh>, halfwords_or_words},
    {"addp      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10111 1 Rn Rd",        binary<VBin::addp>, full_doublewords},
    {"uhadd     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00000 1 Rn Rd",        binary<VBin::uavg_down>, not_doublewords},
    {"uqadd     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00001 1 Rn Rd",        binary<VBin::uadd_sat>, full_doublewords},
    {"urhadd    {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00010 1 Rn Rd",        binary<VBin::uavg>, not_doublewords},
    {"uhsub     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00100 1 Rn Rd",        binary<VBin::usub_half>, not_doublewords},
    {"uqsub     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00101 1 Rn Rd",        binary<VBin::usub_sat>, full_doublewords},
    {"ushl      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01000 1 Rn Rd",        binary<VBin::ushl_signed>, full_doublewords},
    {"uqshl     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01001 1 Rn Rd",        binary<VBin::uqshl>, full_doublewords},
    {"urshl     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01010 1 Rn Rd",        binary<VBin::urshl>, full_doublewords},
    {"uqrshl    {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01011 1 Rn Rd",        binary<VBin::uqrshl>, full_doublewords},
    {"umax      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01100 1 Rn Rd",        binary<VBin::umax>, not_doublewords},
    {"umin      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01101 1 Rn Rd",        binary<VBin::umin>, not_doublewords},
    {"uabd      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01110 1 Rn Rd",        binary<VBin::uabd>, not_doublewords},
    {"sub       {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10000 1 Rn Rd",        binary<VBin::sub>, full_doublewords},
    {"pmul      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10011 1 Rn Rd",        binary<VBin::pmul>, bytes_only},
    {"umaxp     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10100 1 Rn Rd",        binary<VBin::umaxp>, not_doublewords},
    {"uminp     {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10101 1 Rn Rd",        binary<VBin::uminp>, not_doublewords},
    {"sqrdmulh  {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10110 1 Rn Rd",        binary<VBin::sqrdmulh>, halfwords_or_words},
    {"cmgt      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00110 1 Rn Rd",        compare_lanes<VRel::sgt>, full_doublewords},
    {"cmge      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 00111 1 Rn Rd",        compare_lanes<VRel::sge>, full_doublewords},
    {"cmtst     {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10001 1 Rn Rd",        compare_lanes<VRel::tst>, full_doublewords},
    {"cmhi      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00110 1 Rn Rd",        compare_lanes<VRel::ugt>, full_doublewords},
    {"cmhs      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 00111 1 Rn Rd",        compare_lanes<VRel::uge>, full_doublewords},
    {"cmeq      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10001 1 Rn Rd",        compare_lanes<VRel::eq>, full_doublewords},
    {"saba      {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 01111 1 Rn Rd",        accumulate_difference<VBin::sabd>, not_doublewords},
    {"uaba      {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 01111 1 Rn Rd",        accumulate_difference<VBin::uabd>, not_doublewords},
    {"mla       {VdT}, {VnT}, {VmT}",            "0 Q 0 01110 size 1 Rm 10010 1 Rn Rd",        multiply_add<VTern::mla>, not_doublewords},
    {"mls       {VdT}, {VnT}, {VmT}",            "0 Q 1 01110 size 1 Rm 10010 1 Rn Rd",        multiply_add<VTern::mls>, not_doublewords},

    {"and       {VdB}, {VnB}, {VmB}",            "0 Q 0 01110 00 1 Rm 00011 1 Rn Rd",          logical<VBin::and_>},
    {"bic       {VdB}, {VnB}, {VmB}",            "0 Q 0 01110 01 1 Rm 00011 1 Rn Rd",          logical<VBin::andn>},
    {"orr       {VdB}, {VnB}, {VmB}",            "0 Q 0 01110 10 1 Rm 00011 1 Rn Rd",          logical<VBin::or_>},
    {"orn       {VdB}, {VnB}, {VmB}",            "0 Q 0 01110 11 1 Rm 00011 1 Rn Rd",          logical<VBin::orn>},
    {"eor       {VdB}, {VnB}, {VmB}",            "0 Q 1 01110 00 1 Rm 00011 1 Rn Rd",          logical<VBin::xor_>},
    {"bsl       {VdB}, {VnB}, {VmB}",            "0 Q 1 01110 01 1 Rm 00011 1 Rn Rd",          bsl},
    {"bit       {VdB}, {VnB}, {VmB}",            "0 Q 1 01110 10 1 Rm 00011 1 Rn Rd",          bit},
    {"bif       {VdB}, {VnB}, {VmB}",            "0 Q 1 01110 11 1 Rm 00011 1 Rn Rd",          bif},

    {"fmaxnm    {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11000 1 Rn Rd",        fp_binary<VBin::fmaxnm>, full_fp},
    {"fadd      {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11010 1 Rn Rd",        fp_binary<VBin::fadd>, full_fp},
    {"fmulx     {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11011 1 Rn Rd",        fp_binary<VBin::fmulx>, full_fp},
    {"fmax      {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11110 1 Rn Rd",        fp_binary<VBin::fmax>, full_fp},
    {"frecps    {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11111 1 Rn Rd",        fp_binary<VBin::frecps>, full_fp},
    {"fminnm    {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 1 sz 1 Rm 11000 1 Rn Rd",        fp_binary<VBin::fminnm>, full_fp},
    {"fsub      {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 1 sz 1 Rm 11010 1 Rn Rd",        fp_binary<VBin::fsub>, full_fp},
    {"fmin      {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 1 sz 1 Rm 11110 1 Rn Rd",        fp_binary<VBin::fmin>, full_fp},
    {"frsqrts   {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 1 sz 1 Rm 11111 1 Rn Rd",        fp_binary<VBin::frsqrts>, full_fp},
    {"fmaxnmp   {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11000 1 Rn Rd",        fp_binary<VBin::fmaxnmp>, full_fp},
    {"faddp     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11010 1 Rn Rd",        fp_binary<VBin::faddp>, full_fp},
    {"fmul      {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11011 1 Rn Rd",        fp_binary<VBin::fmul>, full_fp},
    {"fmaxp     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11110 1 Rn Rd",        fp_binary<VBin::fmaxp>, full_fp},
    {"fdiv      {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11111 1 Rn Rd",        fp_binary<VBin::fdiv>, full_fp},
    {"fminnmp   {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 1 sz 1 Rm 11000 1 Rn Rd",        fp_binary<VBin::fminnmp>, full_fp},
    {"fabd      {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 1 sz 1 Rm 11010 1 Rn Rd",        fp_binary<VBin::fabd>, full_fp},
    {"fminp     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 1 sz 1 Rm 11110 1 Rn Rd",        fp_binary<VBin::fminp>, full_fp},
    {"fcmeq     {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11100 1 Rn Rd",        fp_compare<VRel::feq>, full_fp},
    {"fcmge     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11100 1 Rn Rd",        fp_compare<VRel::fge>, full_fp},
    {"facge     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 0 sz 1 Rm 11101 1 Rn Rd",        fp_compare<VRel::facge>, full_fp},
    {"fcmgt     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 1 sz 1 Rm 11100 1 Rn Rd",        fp_compare<VRel::fgt>, full_fp},
    {"facgt     {VdF}, {VnF}, {VmF}",            "0 Q 1 01110 1 sz 1 Rm 11101 1 Rn Rd",        fp_compare<VRel::facgt>, full_fp},
    {"fmla      {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 0 sz 1 Rm 11001 1 Rn Rd",        fp_multiply_add<VTern::fmla>, full_fp},
    {"fmls      {VdF}, {VnF}, {VmF}",            "0 Q 0 01110 1 sz 1 Rm 11001 1 Rn Rd",        fp_multiply_add<VTern::fmls>, full_fp},
};

constexpr R scalar_rows[] = {
    {"sqadd     {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 00001 1 Rn Rd",         scalar_binary<VBin::sadd_sat>},
    {"sqsub     {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 00101 1 Rn Rd",         scalar_binary<VBin::ssub_sat>},
    {"sshl      {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 01000 1 Rn Rd",         scalar_binary<VBin::sshl_signed>, doublewords},
    {"sqshl     {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 01001 1 Rn Rd",         scalar_binary<VBin::sqshl>},
    {"srshl     {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 01010 1 Rn Rd",         scalar_binary<VBin::srshl>, doublewords},
    {"sqrshl    {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 01011 1 Rn Rd",         scalar_binary<VBin::sqrshl>},
    {"add       {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 10000 1 Rn Rd",         scalar_binary<VBin::add>, doublewords},
    {"sqdmulh   {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 10110 1 Rn Rd",         scalar_binary<VBin::sqdmulh>, halfwords_or_words},
    {"uqadd     {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 00001 1 Rn Rd",         scalar_binary<VBin::uadd_sat>},
    {"uqsub     {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 00101 1 Rn Rd",         scalar_binary<VBin::usub_sat>},
    {"ushl      {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 01000 1 Rn Rd",         scalar_binary<VBin::ushl_signed>, doublewords},
    {"uqshl     {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 01001 1 Rn Rd",         scalar_binary<VBin::uqshl>},
    {"urshl     {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 01010 1 Rn Rd",         scalar_binary<VBin::urshl>, doublewords},
    {"uqrshl    {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 01011 1 Rn Rd",         scalar_binary<VBin::uqrshl>},
    {"sub       {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 10000 1 Rn Rd",         scalar_binary<VBin::sub>, doublewords},
    {"sqrdmulh  {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 10110 1 Rn Rd",         scalar_binary<VBin::sqrdmulh>, halfwords_or_words},
    {"cmgt      {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 00110 1 Rn Rd",         scalar_compare<VRel::sgt>, doublewords},
    {"cmge      {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 00111 1 Rn Rd",         scalar_compare<VRel::sge>, doublewords},
    {"cmtst     {SdT}, {SnT}, {SmT}",            "01 0 11110 size 1 Rm 10001 1 Rn Rd",         scalar_compare<VRel::tst>, doublewords},
    {"cmhi      {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 00110 1 Rn Rd",         scalar_compare<VRel::ugt>, doublewords},
    {"cmhs      {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 00111 1 Rn Rd",         scalar_compare<VRel::uge>, doublewords},
    {"cmeq      {SdT}, {SnT}, {SmT}",            "01 1 11110 size 1 Rm 10001 1 Rn Rd",         scalar_compare<VRel::eq>, doublewords},
    {"fmulx     {SdF}, {SnF}, {SmF}",            "01 0 11110 0 sz 1 Rm 11011 1 Rn Rd",         scalar_fp_binary<VBin::fmulx>},
    {"frecps    {SdF}, {SnF}, {SmF}",            "01 0 11110 0 sz 1 Rm 11111 1 Rn Rd",         scalar_fp_binary<VBin::frecps>},
    {"frsqrts   {SdF}, {SnF}, {SmF}",            "01 0 11110 1 sz 1 Rm 11111 1 Rn Rd",         scalar_fp_binary<VBin::frsqrts>},
    {"fabd      {SdF}, {SnF}, {SmF}",            "01 1 11110 1 sz 1 Rm 11010 1 Rn Rd",         scalar_fp_binary<VBin::fabd>},
    {"fcmeq     {SdF}, {SnF}, {SmF}",            "01 0 11110 0 sz 1 Rm 11100 1 Rn Rd",         scalar_fp_compare<VRel::feq>},
    {"fcmge     {SdF}, {SnF}, {SmF}",            "01 1 11110 0 sz 1 Rm 11100 1 Rn Rd",         scalar_fp_compare<VRel::fge>},
    {"facge     {SdF}, {SnF}, {SmF}",            "01 1 11110 0 sz 1 Rm 11101 1 Rn Rd",         scalar_fp_compare<VRel::facge>},
    {"fcmgt     {SdF}, {SnF}, {SmF}",            "01 1 11110 1 sz 1 Rm 11100 1 Rn Rd",         scalar_fp_compare<VRel::fgt>},
    {"facgt     {SdF}, {SnF}, {SmF}",            "01 1 11110 1 sz 1 Rm 11101 1 Rn Rd",         scalar_fp_compare<VRel::facgt>},
};

constexpr R half_rows[] = {
    {"fmaxnm    {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 000 1 Rn Rd",         fp_binary<VBin::fmaxnm, Fp::half>},
    {"fmla      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 001 1 Rn Rd",         fp_multiply_add<VTern::fmla, Fp::half>},
    {"fadd      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 010 1 Rn Rd",         fp_binary<VBin::fadd, Fp::half>},
    {"fmulx     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 011 1 Rn Rd",         fp_binary<VBin::fmulx, Fp::half>},
    {"fcmeq     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 100 1 Rn Rd",         fp_compare<VRel::feq, Fp::half>},
    {"fmax      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 110 1 Rn Rd",         fp_binary<VBin::fmax, Fp::half>},
    {"frecps    {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 0 10 Rm 00 111 1 Rn Rd",         fp_binary<VBin::frecps, Fp::half>},
    {"fminnm    {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 1 10 Rm 00 000 1 Rn Rd",         fp_binary<VBin::fminnm, Fp::half>},
    {"fmls      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 1 10 Rm 00 001 1 Rn Rd",         fp_multiply_add<VTern::fmls, Fp::half>},
    {"fsub      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 1 10 Rm 00 010 1 Rn Rd",         fp_binary<VBin::fsub, Fp::half>},
    {"fmin      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 1 10 Rm 00 110 1 Rn Rd",         fp_binary<VBin::fmin, Fp::half>},
    {"frsqrts   {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 0 01110 1 10 Rm 00 111 1 Rn Rd",         fp_binary<VBin::frsqrts, Fp::half>},
    {"fmaxnmp   {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 000 1 Rn Rd",         fp_binary<VBin::fmaxnmp, Fp::half>},
    {"faddp     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 010 1 Rn Rd",         fp_binary<VBin::faddp, Fp::half>},
    {"fmul      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 011 1 Rn Rd",         fp_binary<VBin::fmul, Fp::half>},
    {"fcmge     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 100 1 Rn Rd",         fp_compare<VRel::fge, Fp::half>},
    {"facge     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 101 1 Rn Rd",         fp_compare<VRel::facge, Fp::half>},
    {"fmaxp     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 110 1 Rn Rd",         fp_binary<VBin::fmaxp, Fp::half>},
    {"fdiv      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 0 10 Rm 00 111 1 Rn Rd",         fp_binary<VBin::fdiv, Fp::half>},
    {"fminnmp   {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 1 10 Rm 00 000 1 Rn Rd",         fp_binary<VBin::fminnmp, Fp::half>},
    {"fabd      {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 1 10 Rm 00 010 1 Rn Rd",         fp_binary<VBin::fabd, Fp::half>},
    {"fcmgt     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 1 10 Rm 00 100 1 Rn Rd",         fp_compare<VRel::fgt, Fp::half>},
    {"facgt     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 1 10 Rm 00 101 1 Rn Rd",         fp_compare<VRel::facgt, Fp::half>},
    {"fminp     {Vd4h}, {Vn4h}, {Vm4h}",          "0 Q 1 01110 1 10 Rm 00 110 1 Rn Rd",         fp_binary<VBin::fminp, Fp::half>},

    {"fmulx     {Hd}, {Hn}, {Hm}",                "01 0 11110 0 10 Rm 00 011 1 Rn Rd",          scalar_fp_binary<VBin::fmulx, Fp::half>},
    {"fcmeq     {Hd}, {Hn}, {Hm}",                "01 0 11110 0 10 Rm 00 100 1 Rn Rd",          scalar_fp_compare<VRel::feq, Fp::half>},
    {"frecps    {Hd}, {Hn}, {Hm}",                "01 0 11110 0 10 Rm 00 111 1 Rn Rd",          scalar_fp_binary<VBin::frecps, Fp::half>},
    {"frsqrts   {Hd}, {Hn}, {Hm}",                "01 0 11110 1 10 Rm 00 111 1 Rn Rd",          scalar_fp_binary<VBin::frsqrts, Fp::half>},
    {"fcmge     {Hd}, {Hn}, {Hm}",                "01 1 11110 0 10 Rm 00 100 1 Rn Rd",          scalar_fp_compare<VRel::fge, Fp::half>},
    {"facge     {Hd}, {Hn}, {Hm}",                "01 1 11110 0 10 Rm 00 101 1 Rn Rd",          scalar_fp_compare<VRel::facge, Fp::half>},
    {"fabd      {Hd}, {Hn}, {Hm}",                "01 1 11110 1 10 Rm 00 010 1 Rn Rd",          scalar_fp_binary<VBin::fabd, Fp::half>},
    {"fcmgt     {Hd}, {Hn}, {Hm}",                "01 1 11110 1 10 Rm 00 100 1 Rn Rd",          scalar_fp_compare<VRel::fgt, Fp::half>},
    {"facgt     {Hd}, {Hn}, {Hm}",                "01 1 11110 1 10 Rm 00 101 1 Rn Rd",          scalar_fp_compare<VRel::facgt, Fp::half>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_same{"AdvSIMD three same", needs(Feature::simd), rows, fp_registers};
constinit const Table<AArch64> simd_same_scalar{"AdvSIMD scalar three same", needs(Feature::simd), scalar_rows,
                                                fp_registers};
constinit const Table<AArch64> simd_same_half{"AdvSIMD three same, FP16", needs(Feature::simd_fp16), half_rows,
                                              fp_registers};

} // namespace mimic::isa::aarch64
