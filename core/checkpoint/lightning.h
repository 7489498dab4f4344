// Lightning's checkpoint files (.ckpt) of the reference, read and written without Python.
//
//   state_dict          "model.<name>": weights and buffers
//   ema                 {params: {<name>}, decay}, with --ema
//   optimizer_states    Adam's moments and step counts by parameter number
//   hyper_parameters    {args: argparse.Namespace}: every flag
//   epoch, global_step, loops, lr_schedulers, callbacks, pytorch-lightning_version
#pragma once

#include <filesystem>

#include "core/checkpoint/portable.h"

namespace mdgen::checkpoint {

// Sets spec.reference_compat: such weights were trained with the reference's mathematics.
Portable read_lightning(const std::filesystem::path& file, Contents contents, const v1::JobSpec* fallback);

// kRaw: everything, so that the reference's fit(ckpt_path=…) goes on from it. kEma: the moving average as the
// weights, for the reference's inference scripts, which never read `ema`; without optimizer and loops, for
// training from it would go on with moments of other weights. The file says which ("mdgen_weights"). Throws
// Error when kEma is asked of a checkpoint without a moving average, or tensors do not fit the spec's layout.
void write_lightning(const Portable& portable, const std::filesystem::path& file, Weights weights);

}  // namespace mdgen::checkpoint
