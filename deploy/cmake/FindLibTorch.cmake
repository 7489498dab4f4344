# LibTorch from the PyPI wheel, without its own CMake package (which wants nvcc and probes for GPUs).
#
# Finds, under LIBTORCH_ROOT (a folder with torch/ and nvidia/ side by side; default: deploy/bootstrap's cache):
#   LibTorch::cpu      tensors, autograd and c10d; needs no GPU and no CUDA library beyond cudart and cupti
#   LibTorch::cuda     the CUDA part of c10 (streams, allocator) and cudart, for code that runs where a GPU is
#   LibTorch::nccl     NCCL
# The wheel carries its own protobuf and fmt headers: its include folders come after all others (-idirafter).
set(_cache "$ENV{MDGEN_CACHE}")
if(NOT _cache)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(_cache "$ENV{XDG_CACHE_HOME}/mdgen")
  else()
    set(_cache "$ENV{HOME}/.cache/mdgen")
  endif()
endif()
set(MDGEN_CACHE "${_cache}" CACHE PATH "Where deploy/bootstrap keeps downloads")
set(LIBTORCH_ROOT "${MDGEN_CACHE}/libtorch-2.11.0" CACHE PATH "Folder that holds torch/ and nvidia/")
if(DEFINED ENV{LIBTORCH_ROOT})
  get_filename_component(_root "$ENV{LIBTORCH_ROOT}" ABSOLUTE BASE_DIR "${CMAKE_SOURCE_DIR}")
  set_property(CACHE LIBTORCH_ROOT PROPERTY VALUE "${_root}")
endif()
if(NOT LIBTORCH_ROOT STREQUAL LibTorch_looked_in)
  foreach(_library cpu c10 c10_cuda cudart cupti nccl)
    unset(LibTorch_${_library}_LIBRARY CACHE)
  endforeach()
  set(LibTorch_looked_in "${LIBTORCH_ROOT}" CACHE INTERNAL "The LIBTORCH_ROOT of the libraries below")
endif()

find_library(LibTorch_cpu_LIBRARY torch_cpu PATHS "${LIBTORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_c10_LIBRARY c10 PATHS "${LIBTORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_c10_cuda_LIBRARY c10_cuda PATHS "${LIBTORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
find_file(LibTorch_cudart_LIBRARY libcudart.so.13 PATHS "${LIBTORCH_ROOT}/nvidia/cu13/lib" NO_DEFAULT_PATH)
find_file(LibTorch_cupti_LIBRARY libcupti.so.13 PATHS "${LIBTORCH_ROOT}/nvidia/cu13/lib" NO_DEFAULT_PATH)
find_path(LibTorch_cuda_INCLUDE crt/host_config.h PATHS "${MDGEN_CACHE}/cuda-headers-13.0/nvidia/cu13/include"
          NO_DEFAULT_PATH)
find_file(LibTorch_nccl_LIBRARY libnccl.so.2 PATHS "${LIBTORCH_ROOT}/nvidia/nccl/lib" NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_c10_cuda_LIBRARY LibTorch_cudart_LIBRARY
                LibTorch_cupti_LIBRARY LibTorch_cuda_INCLUDE LibTorch_nccl_LIBRARY
  REASON_FAILURE_MESSAGE "run deploy/bootstrap, or set LIBTORCH_ROOT (looked in ${LIBTORCH_ROOT})")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  set(_nvidia "${LIBTORCH_ROOT}/nvidia")
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_compile_options(
    LibTorch::cpu INTERFACE "SHELL:-idirafter ${LIBTORCH_ROOT}/torch/include"
                            "SHELL:-idirafter ${LIBTORCH_ROOT}/torch/include/torch/csrc/api/include")
  target_compile_definitions(LibTorch::cpu INTERFACE USE_C10D_GLOO USE_DISTRIBUTED)
  target_link_libraries(LibTorch::cpu INTERFACE "${LibTorch_cpu_LIBRARY}" "${LibTorch_c10_LIBRARY}")
  target_link_options(
    LibTorch::cpu INTERFACE "LINKER:-rpath,${LIBTORCH_ROOT}/torch/lib" "LINKER:-rpath-link,${_nvidia}/cu13/lib"
                            "LINKER:-rpath-link,${LIBTORCH_ROOT}/torch/lib")

  add_library(LibTorch::cuda INTERFACE IMPORTED)
  target_compile_options(LibTorch::cuda INTERFACE "SHELL:-idirafter ${_nvidia}/cu13/include"
                                                  "SHELL:-idirafter ${LibTorch_cuda_INCLUDE}")
  target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu "${LibTorch_c10_cuda_LIBRARY}" "${LibTorch_cudart_LIBRARY}")
  target_link_options(LibTorch::cuda INTERFACE "LINKER:-rpath,${_nvidia}/cu13/lib")

  add_library(LibTorch::nccl INTERFACE IMPORTED)
  target_compile_options(LibTorch::nccl INTERFACE "SHELL:-idirafter ${_nvidia}/nccl/include")
  target_link_libraries(LibTorch::nccl INTERFACE LibTorch::cuda "${LibTorch_nccl_LIBRARY}")
  target_link_options(LibTorch::nccl INTERFACE "LINKER:-rpath,${_nvidia}/nccl/lib")
endif()
