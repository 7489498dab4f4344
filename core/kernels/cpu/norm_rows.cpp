#include "core/kernels/cpu/norm_rows.h"

namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET {
void norm_rows(const NormRows&) {}
void norm_rows_backward(const NormRowsBackward&) {}
}  // namespace mdgen::kernels::cpu::MDGEN_KERNEL_SET
