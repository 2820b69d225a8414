"""The supernet, its gates, the budget, and the algorithms that learn which gates to open."""
