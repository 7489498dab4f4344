#include "tables.h"

namespace mdgen::flags {

std::vector<Effect> top_effects() {
  return {
      {"name", "other", {"run folder"}, "names the run folder"},
      {"seed", "5",
       kLearning | kFirstStep | kCoordinates | kResidues | kDraws | Names{"initial weights", "names", "plan"},
       "other draws and initial weights"},
      {"work_dir", "$WORK/deeper", {"run folder"}, "where the run folder is"},
      {"global_batch_size", "6",
       kLearning | kFirstStep | kCoordinates | kResidues | kDraws |
           Names{"checkpoints kept", "checkpoints written", "learning rates", "names", "plan", "steps",
                 "validations"},
       "samples of a step"},
      {"max_steps", "4", kLearning | kLength | Names{"log", "validations"},
       "fewer steps, none of them another"},
      {"resume", "fresh", {}, "nothing in a new run folder"},
      {"reference_compat", "true", kLearning | kFirstStep | kCoordinates, "never draws the last window (B6)"},
      {"reference_compat", "true", {}, "nothing else where no atom is absent", {"overfit_frame=true"}},
      {"reference_compat",
       "true",
       kLearning | kFirstStep | Names{"loss mask"},
       "padding is supervised under supervise_all_torsions",
       {"overfit_frame=true", "supervise_all_torsions=true", "padding=crop"}},
      {"reference_compat",
       "true",
       kLearning | Names{"first gradient"},
       "padding is attended to without rotary embedding (B19)",
       {"overfit_frame=true", "no_rope=true", "padding=crop"}},
      {"reference_compat", "true", kLearning, "Hyena sees the future in place of the past (B18)",
       peptides({"overfit_frame=true", "hyena=true"})},
  };
}

std::vector<Effect> loop_effects() {
  return {
      {"loop.epochs", "3", kLearning | kLength | Names{"log", "validations"}, "passes over the data"},
      {"loop.no_validate", "true", {"log", "metrics", "validation losses", "validations"}, "never validates"},
      {"loop.validate", "true",
       kLearning | kFirstStep | kCoordinates | kResidues | kDraws | kLength |
           Names{"evaluations", "log", "metrics", "names", "sampled sequence", "validations"},
       "trains nothing and validates once"},
      {"loop.val_epoch_freq",
       "2",
       {"checkpoints kept", "checkpoints written", "log", "validation losses", "validations"},
       "validates in every second epoch"},
      {"loop.val_freq",
       "4",
       {"checkpoints kept", "checkpoints written", "log", "validation losses", "validations"},
       "validates after every four batches"},
      {"loop.train_batches", "2",
       kLearning | kCoordinates | kResidues | kDraws | kLength | Names{"names", "validations"},
       "so many batches of each worker in an epoch"},
      {"loop.val_batches",
       "1",
       {"validation losses", "validations"},
       "the first batch of the validation set",
       {"val_repeat=3"}},
      {"loop.inference_batches",
       "1",
       {"files", "metrics"},
       "samples the first batch of each validation, writes and measures it"},
      {"loop.designability_freq", "2", {"files"}, "samples in every second epoch", {"inference_batches=1"}},
  };
}

std::vector<Effect> checkpoint_effects() {
  return {
      {"checkpoint.ckpt_freq",
       "2",
       {"checkpoints kept", "checkpoints written"},
       "checkpoints after every second epoch"},
      {"checkpoint.every_steps",
       "2",
       {"checkpoints kept", "checkpoints written"},
       "checkpoints after every second step as well"},
      {"checkpoint.keep_last", "1", {"checkpoints kept"}, "older checkpoints are removed"},
      {"checkpoint.keep_every",
       "2",
       {"checkpoints kept"},
       "every second step's checkpoint stays as well",
       {"every_steps=1", "keep_last=1"}},
      {"checkpoint.keep_best",
       "8",
       {"checkpoints kept"},
       "the checkpoints of the lowest validation losses stay as well",
       {"keep_last=1"}},
  };
}

std::vector<Effect> logging_effects() {
  return {
      {"logging.print_freq",
       "2",
       {"log", "metrics"},
       "a line in the log, and the iter_ metrics, for every second step"},
      {"logging.wandb", "true", {"files"}, "TensorBoard events beside metrics.jsonl"},
      {"logging.teaching_ipa", "$WORK/ipa", {"IPA files"}, "writes what prepended IPA gives"},
      {"logging.profile", "1", {"files", "log"}, "a trace of a step's operations, for Chrome or Perfetto"},
      {"logging.teaching_ipa_max", "2", {"IPA files"}, "so many files at most", {"teaching_ipa=$WORK/ipa"}},
  };
}

}  // namespace mdgen::flags
