from distbench.stats import Estimate, Status, effective_length

GOOD, BAD = Estimate(0.97, 0.95, 0.99, 400, "fieller_t"), Estimate(0.8, 0.7, 0.9, 400, "fieller_t")


def test_the_longest_bucket_with_all_shorter_ones_passing():
    assert effective_length({512: GOOD, 128: GOOD, 2048: BAD, 8192: GOOD}, 0.95) == 512


def test_none_where_the_shortest_fails():
    assert effective_length({128: BAD, 512: GOOD}, 0.95) is None
    assert effective_length({}, 0.95) is None


def test_a_missing_bucket_ends_the_claim():
    assert effective_length({128: GOOD, 2048: GOOD}, 0.95, expected=[128, 512, 2048]) == 128


def test_a_bucket_without_signal_ends_the_claim():
    silent = Estimate(None, None, None, 5, "fieller_t", Status.NO_SIGNAL)
    assert effective_length({128: GOOD, 512: silent, 1024: GOOD}, 0.95) == 128
