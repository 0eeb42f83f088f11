"""What a plug-in must be. Small protocols and the values they exchange; nothing here asks "which modality is it".

A capability is a word. A model class `offers` words, a task, method or meter `needs` words; `needs - offers` is checked
at plan time, before a model is loaded. The words of the built-ins:

* ``causal-lm``   the model has `.module` (torch, logits over token ids) and `.tokenizer`
* ``language``    can be asked about text, whatever runs it: see `Language`
* ``write``       `write(asked, sampling) -> [Written]`: answers to prompts, see `Writer`
* ``decode``      `prompts(batch, length, seed)` makes inputs, `decode(prompts, n) -> Decoded` answers them greedily
                  with exactly n tokens each
* ``answer``      `answer(prompt, n) -> Decoded` of one prompt, from any number of threads; nothing is queued here
* ``served``      computes in another process, maybe on another machine: only meters that are `at_a_distance` read it
* ``cache``       `cache_bytes(prompts)` -> bytes of the key-value cache after these prompts
* ``weights``     `weight_bytes()` -> bytes of the weights in memory, in the dtype they have there, tied ones once
* ``classify``    `classify(x) -> probabilities`, n vectors, images or texts (see `FeatureSignal`) of a kind that the
                  model `learns` -> [n, classes] float64, rows sum to 1
* ``layers``      decoder or encoder blocks can be dropped: `keep_layers(indices)`
* ``remake``      `remade(module)` -> the same tokenizer and options around another torch module
* ``int8``        linear layers can be replaced by int8 ones: `quantise_int8()`
* ``learn``       can be trained: `learn(signal, recipe, session)`
* ``lora``        `learn` can train low-rank adapters, and merge them: the budget's `lora`
* ``processes``   `learn` can be one of several processes that train one model: the session's `launch`
* ``save``        can be written: `save(folder)`
"""

from distbench.protocols.making import (
    DataSource,
    Deployment,
    Initialiser,
    LearnReport,
    LearnSession,
    Loss,
    Method,
    Quantiser,
    Signal,
    SignalRequest,
    TeacherHandle,
    TrainingRecipe,
)
from distbench.protocols.meter import (
    SEARCH,
    About,
    LoadFacts,
    Meter,
    Missing,
    Quantity,
    Reading,
    Readings,
    Usable,
    WorkAt,
    Workload,
)
from distbench.protocols.model import (
    Asked,
    Guess,
    Language,
    Model,
    Prompt,
    Resolved,
    Sampling,
    Stop,
    Writer,
    Written,
)
from distbench.protocols.task import Metric, Outcome, Progress, Sample, Task
from distbench.protocols.work import Decoded, Shape, Timing, Work

__all__ = [
    "SEARCH",
    "About",
    "Asked",
    "DataSource",
    "Decoded",
    "Deployment",
    "Guess",
    "Initialiser",
    "Language",
    "LearnReport",
    "LearnSession",
    "LoadFacts",
    "Loss",
    "Meter",
    "Method",
    "Metric",
    "Missing",
    "Model",
    "Outcome",
    "Progress",
    "Prompt",
    "Quantiser",
    "Quantity",
    "Reading",
    "Readings",
    "Resolved",
    "Sample",
    "Sampling",
    "Shape",
    "Signal",
    "SignalRequest",
    "Stop",
    "Task",
    "TeacherHandle",
    "Timing",
    "TrainingRecipe",
    "Usable",
    "Work",
    "WorkAt",
    "Workload",
    "Writer",
    "Written",
]
