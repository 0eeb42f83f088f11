"""Statistics of teacher against student: pure functions on arrays, no files, no models.

Where to look: `retained`, `delta`, `gap_recovered` for one task, `retained_suite` for many, `decide`, `decide_suite`
for a verdict, `decide_so_far` for one while samples still arrive. Scores enter paired by sample; what cannot be
computed is None with a status and a reason, never NaN.
"""

from distbench.stats.aggregate import (
    RatioSummary,
    mean_win_rates,
    normalised_scores,
    relative_degradation,
    summarise_ratios,
)
from distbench.stats.betting import BETTING, BETTING_AND_FIXED
from distbench.stats.bias import BiasTransfer, bias_transfer
from distbench.stats.bootstrap import bootstrap_moments, retained_bootstrap
from distbench.stats.calibration import (
    ReliabilityBin,
    adaptive_calibration_error,
    brier,
    expected_calibration_error,
    label_losses,
    negative_log_likelihood,
    reliability,
)
from distbench.stats.cells import Cells
from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.compression import (
    KINDS,
    ParameterCount,
    compression_ratio,
    compression_ratios,
    flops_per_token,
    gpt2_parameters,
    llama_linear_parameters,
)
from distbench.stats.context import effective_length
from distbench.stats.difference import delta, linear_estimate, mean_estimate, unpaired_difference
from distbench.stats.divergence import (
    DivergenceSummary,
    js_divergence,
    kl_divergence,
    kl_top_k_lower_bound,
    summarise_divergence,
)
from distbench.stats.estimate import IDENTICAL, Estimate, Status, identical, negated
from distbench.stats.fidelity import (
    Flips,
    agreement_bounds,
    churn,
    cohen_kappa,
    flips,
    kappa,
    p_above,
    proportion,
    rate,
    top1_agreement,
)
from distbench.stats.fieller import delta_method, fieller, fieller_interval, ratio_of_means
from distbench.stats.gap import gap_recovered, gap_recovered_from_means
from distbench.stats.gate import (
    MIN_CLUSTERS,
    MIN_SAMPLES,
    Claim,
    Decision,
    SuiteDecision,
    SuiteRule,
    Verdict,
    below_floor,
    decide,
    decide_suite,
)
from distbench.stats.groups import MIN_GROUP, GroupReport, group_report, group_report_from_means
from distbench.stats.intervals import Interval, clopper_pearson, proportion_interval, wilson
from distbench.stats.looks import look_schedule, looks
from distbench.stats.multiplicity import adjust_p_values, rejections
from distbench.stats.pareto import front_probability, hypervolume, pareto_front
from distbench.stats.perplexity import bits_per_byte, byte_perplexity_ratio, delta_bits_per_byte, perplexity
from distbench.stats.power import (
    SamplePlan,
    plan_from_moments,
    planned_cells,
    sample_size,
    sampled_variance,
    samples_to_decide,
    samples_to_decide_cells,
    undecided_text,
)
from distbench.stats.retained import (
    retained,
    retained_from_cells,
    retained_from_means,
    retained_ratio_of_sums,
    retained_raw,
)
from distbench.stats.score import has_signal, score_interval, score_statistic
from distbench.stats.selective import (
    SelectiveSummary,
    accuracy_at_coverage,
    aurc,
    confidence_auroc,
    risk_at_coverage,
    selective_summary,
)
from distbench.stats.sequential import FINAL_SHARE, SequentialDecision, SequentialRule, decide_so_far
from distbench.stats.significance import (
    EquivalenceTest,
    MarginTest,
    McNemarTest,
    contrast_test,
    margin_test,
    mcnemar,
    noninferiority,
    tost,
)
from distbench.stats.stream import ClusterPlan, GrowingTask
from distbench.stats.suite import SuiteEstimate, SuiteTask, retained_suite, suite_task

__all__ = [
    "BETTING",
    "BETTING_AND_FIXED",
    "FINAL_SHARE",
    "IDENTICAL",
    "KINDS",
    "MIN_CLUSTERS",
    "MIN_GROUP",
    "MIN_SAMPLES",
    "BiasTransfer",
    "Cells",
    "Claim",
    "ClusterPlan",
    "Decision",
    "DivergenceSummary",
    "EquivalenceTest",
    "Estimate",
    "Flips",
    "GroupReport",
    "GrowingTask",
    "Interval",
    "MarginTest",
    "McNemarTest",
    "Moments",
    "ParameterCount",
    "RatioSummary",
    "ReliabilityBin",
    "SamplePlan",
    "SelectiveSummary",
    "SequentialDecision",
    "SequentialRule",
    "Status",
    "SuiteDecision",
    "SuiteEstimate",
    "SuiteRule",
    "SuiteTask",
    "Verdict",
    "accuracy_at_coverage",
    "adaptive_calibration_error",
    "adjust_p_values",
    "agreement_bounds",
    "aurc",
    "below_floor",
    "bias_transfer",
    "bits_per_byte",
    "bootstrap_moments",
    "brier",
    "byte_perplexity_ratio",
    "churn",
    "clopper_pearson",
    "cohen_kappa",
    "compression_ratio",
    "compression_ratios",
    "confidence_auroc",
    "contrast_test",
    "decide",
    "decide_so_far",
    "decide_suite",
    "delta",
    "delta_bits_per_byte",
    "delta_method",
    "effective_length",
    "expected_calibration_error",
    "fieller",
    "fieller_interval",
    "flips",
    "flops_per_token",
    "front_probability",
    "gap_recovered",
    "gap_recovered_from_means",
    "gpt2_parameters",
    "group_report",
    "group_report_from_means",
    "has_signal",
    "hypervolume",
    "identical",
    "js_divergence",
    "kappa",
    "kl_divergence",
    "kl_top_k_lower_bound",
    "label_losses",
    "linear_estimate",
    "llama_linear_parameters",
    "look_schedule",
    "looks",
    "margin_test",
    "mcnemar",
    "mean_covariance",
    "mean_estimate",
    "mean_win_rates",
    "negated",
    "negative_log_likelihood",
    "noninferiority",
    "normalised_scores",
    "p_above",
    "pareto_front",
    "perplexity",
    "plan_from_moments",
    "planned_cells",
    "proportion",
    "proportion_interval",
    "rate",
    "ratio_of_means",
    "rejections",
    "relative_degradation",
    "reliability",
    "retained",
    "retained_bootstrap",
    "retained_from_cells",
    "retained_from_means",
    "retained_ratio_of_sums",
    "retained_raw",
    "retained_suite",
    "risk_at_coverage",
    "sample_size",
    "sampled_variance",
    "samples_to_decide",
    "samples_to_decide_cells",
    "score_interval",
    "score_statistic",
    "selective_summary",
    "suite_task",
    "summarise_divergence",
    "summarise_ratios",
    "top1_agreement",
    "tost",
    "undecided_text",
    "unpaired_difference",
    "wilson",
]
