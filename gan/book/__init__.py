"""What only the book's pages need: their figures, tables and drawings, and what stands in book/results/.

opening, figures, analysis, experiments, tables, followed and speed are for the notebooks; publishing,
started, ablation and yardsticks write what they show, where places says; commands are theirs. All of it
imports `gan`; nothing in `gan` but the command line imports it.
"""
