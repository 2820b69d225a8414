"""Several processes that compute one search together: what they tell each other, and how they are started."""
