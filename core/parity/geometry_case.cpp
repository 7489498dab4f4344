#include <cstring>

#include "core/parity/case.h"
#include "core/protein/geometry.h"
#include "core/protein/local_geometry.h"
#include "core/protein/residue_constants.h"
#include "core/protein/rigid.h"
#include "core/protein/tables.h"

namespace mdgen::parity {
namespace {

using protein::Rigid;

// Computed from the ideal positions: equal but for the last bit.
constexpr const char* kFrameTable = "restype_rigid_group_default_frame";
constexpr double kFloatRounding = 1e-7;

// A table of arrays as a tensor: element type T, any depth of std::array.
template <typename T, typename Table>
at::Tensor table_tensor(const Table& table, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, c10::CppTypeToScalarType<T>::value);
  TORCH_INTERNAL_ASSERT(tensor.nbytes() == sizeof(Table));
  std::memcpy(tensor.data_ptr(), table.data(), sizeof(Table));
  return tensor;
}

void compare_tables(const GoldenFile& golden, Family& family) {
  using protein::kAtom14;
  using protein::kAtom37;
  auto tables = golden.under("table.");
  std::map<std::string, at::Tensor> frames;
  frames.insert(tables.extract(kFrameTable));
  family.compare_all(
      {{"RESTYPE_ATOM14_TO_ATOM37", table_tensor<int>(protein::atom14_to_atom37(), {21, kAtom14})},
       {"RESTYPE_ATOM37_TO_ATOM14", table_tensor<int>(protein::atom37_to_atom14(), {21, kAtom37})},
       {"RESTYPE_ATOM37_MASK", table_tensor<float>(protein::atom37_mask(), {21, kAtom37})},
       {"restype_atom14_mask", table_tensor<float>(protein::atom14_mask(), {21, kAtom14})},
       {"restype_atom14_to_rigid_group", table_tensor<int>(protein::atom14_rigid_group(), {21, kAtom14})},
       {"restype_atom14_rigid_group_positions",
        table_tensor<float>(protein::atom14_rigid_group_positions(), {21, kAtom14, 3})}},
      tables, kExact);
  family.compare_all(
      {{kFrameTable, table_tensor<float>(protein::rigid_group_default_frame(), {21, 8, 4, 4})}}, frames,
      kFloatRounding);
}

}  // namespace

void run_geometry(const GoldenFile& golden, Result& result) {
  Family& family = result.prep;
  compare_tables(golden, family);

  const at::Tensor& atom14 = golden.at("atom14");
  const at::Tensor& aatype = golden.at("seqres");
  const at::Tensor types = aatype.unsqueeze(0);
  const protein::LocalGeometry local =
      protein::local_geometry(protein::with_predecessor(atom14.unsqueeze(0), 2), types);
  family.compare("frames.rots", local.frames.rots[0], golden.at("frames.rots"), kValueTolerance);
  family.compare("frames.trans", local.frames.trans[0], golden.at("frames.trans"), kValueTolerance);

  const at::Tensor atom37 = protein::atom14_to_atom37(atom14, aatype);
  family.compare("atom37", atom37, golden.at("atom37"), kValueTolerance);

  const at::Tensor defined = protein::defined_torsions(
      protein::with_predecessor(protein::rows_by_type(protein::atom14_mask(), types), 1), types);
  const at::Tensor& mask = golden.at("torsion_mask");
  family.compare("torsion_mask", defined.expand_as(mask), mask, kExact);
  family.compare("torsions", local.torsions[0] * mask.unsqueeze(-1),
                 golden.at("torsions") * mask.unsqueeze(-1), kValueTolerance);

  const Rigid golden_frames{golden.at("frames.rots"), golden.at("frames.trans")};
  const Rigid first{golden_frames.rots.narrow(0, 0, 1), golden_frames.trans.narrow(0, 0, 1)};
  family.compare("offsets", protein::offsets(first, golden_frames), golden.at("offsets"), kValueTolerance);
  family.compare("rebuilt_atom14",
                 protein::frames_torsions_to_atom14(golden_frames, golden.at("torsions"),
                                                    aatype.expand({atom14.size(0), -1})),
                 golden.at("rebuilt_atom14"), kValueTolerance);
}

}  // namespace mdgen::parity
