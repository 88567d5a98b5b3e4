mod mutated;
mod rules;
