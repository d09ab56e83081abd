# Sourced by those who install plugins. tartiflette, which the plugin graphql needs, is built from
# C++ by a cmake, and asks for one so old that today's has to be told to go along.
#   bring_cmake DIRECTORY PIP...
bring_cmake() {
    where=$1
    shift
    "$@" --target "$where" cmake && PATH=$where/cmake/data/bin:$PATH
    export PATH CMAKE_POLICY_VERSION_MINIMUM=3.5
}
