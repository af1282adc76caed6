mod lines;
mod pasting;
mod probing;
mod scanning;
